"""Settings that every test shares: one thread, and signals heard, here and in processes begun here; a seeded torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything is loaded that reads it

import pytest
import torch

from pushforward.parallel import threads

threads.use(1)
for number in (signal.SIGHUP, signal.SIGINT):  # a shell that runs this in its background ignores them for all children
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    if torch.get_num_threads() != 1:  # a command took more; they wait by spinning where processes of tests share cores
        threads.use(1)
