"""Work side by side: the same answers whatever the number of processes, and none of them outlives who asked."""

import math
import os
import signal
import time
from multiprocessing import active_children

import pytest

from pushforward.benches.workers import side_by_side
from pushforward.errors import TrainingError


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(workers):
    found = dict(side_by_side(math.factorial, [3, 5, 4, 0], workers))
    assert found == {3: 6, 5: 120, 4: 24, 0: 1}
    assert not active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_work_raises_arrives_and_ends_the_others(workers):
    with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative input"):
        list(side_by_side(math.sqrt, [-1.0, 4.0, 9.0], workers))
    assert not active_children()


def test_processes_end_in_the_middle_of_their_work_when_nobody_waits_any_more():
    work = side_by_side(time.sleep, [0.0, 600.0], 2)
    next(work)
    begun = time.monotonic()
    work.close()
    assert time.monotonic() - begun < 60
    assert not active_children()


def test_a_process_that_is_gone_is_an_error_that_names_its_task():
    with pytest.raises(TrainingError, match=r"^7: its process ended by itself \(exit 7\)"):
        list(side_by_side(os._exit, [7, 7], 2))
    assert not active_children()


def test_ctrl_c_does_not_reach_the_processes():
    work = side_by_side(time.sleep, [0.0, 600.0], 2)
    next(work)
    (busy,) = active_children()
    assert busy.pid is not None
    os.kill(busy.pid, signal.SIGINT)
    busy.join(1.0)
    assert busy.is_alive()
    work.close()
    assert not active_children()
