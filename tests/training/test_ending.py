"""What is said of a run at its end: modes that it lost, samples that froze, a score worse than its best; or nothing."""

from __future__ import annotations

import json

import pytest
import torch

from pushforward.training.ending import LOOKS, Look, ending, looks_of, moved, sketch

ADVICE = {"lost": "less", "frozen": "other", "worse": "both"}


def run(modes: list[int], of: int = 25, **more: float) -> list[Look]:
    return [Look(100 * k, 1.0 / k, seen, of, 1.0) for k, seen in enumerate(modes, 1)]


def said(looks: list[Look], best: dict | None = None, floor: float | None = 0.1, *, over: bool = True):
    return ending(looks, best, lambda: floor, ADVICE, over=over)


def test_modes_that_were_there_are_lost_by_name_number_and_step():
    (words,) = said(run([3, 25, 24, 1]), {"step": 200, "score": 0.5})
    assert words == "lost modes: 1 of 25 at the end, 25 at step 200; checkpoints/best, of step 200, has 25; less"
    (words,) = said(run([3, 25, 24, 1]), {"step": 400, "score": 0.5})
    assert words == "lost modes: 1 of 25 at the end, 25 at step 200; less"


def test_modes_that_never_were_there_are_missing_once_the_last_step_is_done():
    looks = run([3, 20, 24])
    assert said(looks) == ("missing modes: 24 of 25 at the end, step 300, and never more; less",)
    assert said(looks, over=False) == ()
    assert said([*looks, Look(400, 0.2, 2, 25)], over=False) != ()


@pytest.mark.parametrize("looks", [[], run([25, 25]), run([0, 25]), run([1, 0], of=1), [Look(1, 2.0)]])
def test_nothing_is_said_of_a_run_that_has_all_modes_or_none_to_have(looks):
    assert said(looks) == ()


def test_a_score_twice_its_best_and_that_of_held_out_rows_is_worse():
    looks = [Look(100, 1.0), Look(200, 0.2), Look(300, 0.5)]
    (words,) = said(looks, {"step": 200, "score": 0.2})
    assert words == (
        "worse than its best: a score of 0.5 at the end, 0.2 at step 200 and 0.1 of held-out rows; "
        "checkpoints/best is of that step; both"
    )
    assert said(looks, floor=0.3) == said(looks, floor=None) == ()
    assert said([*looks, Look(400, 0.39)]) == ()


def test_samples_that_stand_still_far_from_the_data_are_frozen():
    still = [Look(100 * k, 1.0, moved=0.5 if k == 1 else 0.001) for k in range(1, LOOKS + 2)]
    (words,) = said(still)
    assert words.startswith("frozen: since step 100 samples have moved by less than 0.5 % of the data's spread")
    assert words.endswith("with a score of 1, 10 times that of held-out rows; other")
    assert said(still, floor=0.5) == said(still, floor=None) == said(still[:-1]) == ()
    assert said([*still, Look(1000, 1.0, moved=0.01)]) == ()


def test_a_floor_is_asked_for_only_where_it_decides():
    def never() -> float:
        raise AssertionError

    assert ending([Look(1, 1.0, 8, 8, 1.0), Look(2, 1.5, 8, 8, 1.0)], None, never, {}, over=True) == ()


def test_a_sketch_sees_all_samples_move_in_spreads_of_the_data():
    data = torch.randn(1000, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    x = torch.randn(500, 3, 20, 20)
    assert sketch(x).shape == (64, 256)
    assert moved(sketch(x), sketch(x), sketch(data)) == 0
    for scale in (0.01, 1.0, 100.0):
        way = moved(sketch(scale * x), sketch(scale * (x + 0.5)), sketch(scale * data))
        assert way == pytest.approx(0.5, rel=0.05)
    assert sketch(torch.ones(3, 2)).shape == (3, 2)


def test_looks_are_the_lines_on_samples_and_damaged_ones_are_left_out(tmp_path):
    log = tmp_path / "log.jsonl"
    assert looks_of(log) == []
    lines = [{"step": 1, "seconds": 0.1, "score": 5.0}, {"step": 2, "score": 0.5}, {"step": 3, "score": "x"},
             {"step": 4, "score": 0.25, "modes": 7, "of": 8, "moved": 0.5},
             {"step": 5, "score": 1, "odd": 2}, [1]]  # fmt: skip
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 6, "sc')
    assert looks_of(log) == [Look(2, 0.5), Look(4, 0.25, 7, 8, 0.5)]
