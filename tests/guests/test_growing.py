"""A guest in two stages whose nets grow at the second: killed in each, taken up again, to the last bit the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from guests.commands import begin, final, finish, kill_after, same

NAME = "growing:experiment"
QUICK = ["--first", 200, "--second", 200, "--batch", 32, "--save-every", 20, "--sample-every", 100, "--trust", NAME]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nothing cut off."""
    folder = tmp_path_factory.mktemp("growing") / "whole"
    finish(begin("train", NAME, *QUICK, "--run", folder))
    return folder


@pytest.mark.parametrize(("stage", "step"), [("moments", 70), ("law", 270)])
def test_killed_in_each_stage_and_resumed_it_ends_bit_for_bit_the_same(whole, tmp_path, stage, step):
    cut = tmp_path / "cut"
    at = kill_after(begin("train", NAME, *QUICK, "--run", cut), cut, step)
    assert (0 < at <= 200) if stage == "moments" else (200 < at < 400)
    tensors, _ = final(cut)
    assert any(name.startswith("critic.") for name in tensors) == (stage == "law")
    finish(begin("train", NAME, "--run", cut, "--resume", "--trust", "growing"))
    assert final(cut)[1]["step"] == 400
    assert same(cut, whole)


def test_samples_of_a_run_come_from_the_structure_that_its_checkpoint_holds(whole, tmp_path):
    out = tmp_path / "x.npz"
    finish(begin("sample", whole, "-n", 500, "--out", out, "--trust", NAME))
    assert np.isfinite(np.load(out)["x"]).all()
    assert "generator.net.1.inner.weight" in final(whole)[0]
    stages = [json.loads(line).get("stage") for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [stage for stage in dict.fromkeys(stages) if stage] == ["moments", "law"]
