"""What became of a run: laws of the worst drop, and where drift is read."""

import numpy as np
import pytest

from pushforward.benches.stability.outcome import drop, outcome

SERIES = [np.random.default_rng(k).normal(size=9).tolist() for k in range(5)]


@pytest.mark.parametrize("x", SERIES)
def test_the_worst_drop_is_never_negative_and_nought_for_what_only_rises(x):
    assert drop(x) >= 0
    assert drop(sorted(x)) == 0
    assert drop(sorted(x, reverse=True)) == pytest.approx(max(x) - min(x))


@pytest.mark.parametrize("x", SERIES)
def test_the_worst_drop_moves_with_the_scale_and_not_with_the_level(x):
    assert drop([3 * value + 7 for value in x]) == pytest.approx(3 * drop(x))


@pytest.mark.parametrize("x", SERIES)
def test_what_came_before_the_best_and_the_order_after_it_do_not_matter(x):
    best = int(np.argmax(x))
    assert drop([min(x) - 5, *x]) == drop(x)
    assert drop([*x[:best], x[best], *reversed(x[best + 1 :])]) == drop(x)
    assert drop([*x, max(x) - 10]) == pytest.approx(10)


def test_a_best_that_is_reached_twice_counts_from_the_first_time():
    assert drop([1, 5, 2, 5, 4]) == 3


def run(modes, held, failed=""):
    names = ("modes", "high_quality", "mode_kl", "width", "centre")
    return {
        "marks": dict.fromkeys(names, modes),
        "settings": {"marks": 3, "held": held},
        "failed": failed,
    }


def test_a_run_ends_at_its_seconds_and_drifts_from_there():
    found = outcome(run([2.0, 8.0, 8.0, 3.0, 3.0, 3.0, 3.0, 3.0, 7.0], {}), 8)
    assert (found.whole, found.modes, found.lost_modes) == (True, 8, 0)
    assert (found.drift_modes, found.drift_quality, found.drift_width) == (-1, -1, -1)
    short = outcome(run([2.0, 8.0, 7.0], None), 8)
    assert (short.whole, short.modes, short.lost_modes) == (False, 7, 1)
    assert (short.drift_modes, short.drift_kl, short.drift_width) == (None, None, None)


def test_a_width_that_is_not_known_has_no_drift():
    line = run([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], {})
    line["marks"]["width"] = [None] * 8 + [1.0]
    found = outcome(line, 8)
    assert found.width is None
    assert found.drift_width is None
    assert found.drift_modes == 0
