"""A guest in two stages whose nets grow at the second: killed in each, taken up again, to the last bit the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from guests.commands import HERE, begin, call, final, finish, kill_after, same, trained

NAME = "growing:experiment"
QUICK = ["--first", 200, "--second", 200, "--batch", 32, "--save-every", 20, "--sample-every", 100, "--trust", NAME]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[object]:
    """The option that names a table small enough to be judged in no time."""
    file = tmp_path_factory.mktemp("table") / "x.npy"
    np.save(file, np.random.default_rng(0).normal(size=(300, 2)) ** 2)
    return ["--data", file]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data) -> Path:
    """A run that nothing cut off."""
    return trained(tmp_path_factory.mktemp("growing") / "whole", NAME, *data, *QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "step"), [("moments", 70), ("law", 270)])
def test_killed_in_each_stage_and_resumed_it_ends_bit_for_bit_the_same(whole, data, tmp_path, stage, step):
    cut = tmp_path / "cut"
    at = kill_after(begin("train", NAME, *data, *QUICK, "--run", cut), cut, step)
    assert (0 < at <= 200) if stage == "moments" else (200 < at < 400)
    tensors, _ = final(cut)
    assert any(name.startswith("critic.") for name in tensors) == (stage == "law")
    finish(begin("train", NAME, "--run", cut, "--resume", "--trust", "growing"))
    assert final(cut)[1]["step"] == 400
    assert same(cut, whole)


def test_samples_of_a_run_come_from_the_structure_that_its_checkpoint_holds(whole, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(HERE)
    out = tmp_path / "x.npz"
    code, _, err = call(capsys, "sample", whole, "-n", 500, "--out", out, "--trust", NAME)
    assert code == 0, err
    assert np.isfinite(np.load(out)["x"]).all()
    assert "generator.net.1.inner.weight" in final(whole)[0]
    stages = [json.loads(line).get("stage") for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [stage for stage in dict.fromkeys(stages) if stage] == ["moments", "law"]
