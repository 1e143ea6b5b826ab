"""A guest between two data sets: its second stream is part of the state, and new points are carried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from guests.commands import HERE, begin, call, kill_after, same, trained

from pushforward.training import checkpoint

NAME = "between:experiment"
QUICK = ["--steps", 400, "--batch", 128, "--save-every", 25, "--sample-every", 150, "--trust", NAME]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> list[object]:
    """Options that name two tables: a normal law, and one stretched and shifted."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    np.save(folder / "a.npy", rng.normal(size=(700, 2)))
    np.save(folder / "b.npy", rng.normal(size=(900, 2)) * [2.0, 0.5] + [3.0, -1.0])
    np.save(folder / "new.npy", rng.normal(size=(1000, 2)))
    return ["--sources", folder / "a.npy", "--data", folder / "b.npy"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tables) -> Path:
    """A run that nothing cut off."""
    return trained(tmp_path_factory.mktemp("between") / "whole", NAME, *tables, *QUICK)


@pytest.mark.slow
def test_killed_and_resumed_both_streams_go_on_where_they_were(whole, tables, tmp_path):
    cut = tmp_path / "cut"
    at = kill_after(begin("train", NAME, *tables, *QUICK, "--run", cut), cut, 130)
    state = checkpoint.load(cut / "checkpoints" / "last").resume
    assert state is not None
    assert state["method"]["sources"]["position"] == state["batches"]["position"] == at > 0
    trained(cut, NAME, "--resume", "--trust", NAME)
    assert same(cut, whole)


def test_new_points_of_the_first_law_are_carried_to_the_second(whole, tables, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(HERE)
    new = Path(str(tables[1])).with_name("new.npy")
    code, _, err = call(capsys, "transport", whole, new, "--out", tmp_path / "t.npz", "--trust", NAME)
    assert code == 0, err
    carried = np.load(tmp_path / "t.npz")
    assert np.allclose(carried["start"], np.load(new))
    assert np.abs(carried["x"].mean(0) / [2.0, 0.5] - [1.5, -2.0]).max() < 0.15
    assert np.abs(carried["x"].std(0) / [2.0, 0.5] - 1).max() < 0.15
