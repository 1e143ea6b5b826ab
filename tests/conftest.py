"""Settings that every test shares: one thread, here and in processes begun here, and torch's generator seeded."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything is loaded that reads it

import pytest
import torch

from pushforward.parallel import threads

threads.use(1)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    if torch.get_num_threads() != 1:  # a command took more; they wait by spinning where processes of tests share cores
        threads.use(1)
