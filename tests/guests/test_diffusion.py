"""A guest of a net that knows the time, with settings of its own for sampling, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from guests.commands import HERE, call, trained

LEAVE = ["--trust", "diffusion"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on points of a stretched normal law."""
    folder = tmp_path_factory.mktemp("diffusion")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(2000, 2)) * [2.0, 0.5] + [3.0, -1.0])
    return trained(folder / "run", "diffusion:experiment", "--data", folder / "x.npy", *LEAVE)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(HERE)


def drawn(capsys, run, out, *more) -> np.ndarray:
    code, _, err = call(capsys, "sample", run, "-n", 1000, "--out", out, *LEAVE, *more)
    assert code == 0, err
    return np.load(out)["x"]


def test_samples_have_the_law_of_the_data_and_settings_change_how_they_are_drawn(run, tmp_path, capsys):
    out = tmp_path / "x.npz"
    usual = drawn(capsys, run, out)
    assert np.abs(usual.mean(0) - [3.0, -1.0]).max() < 0.2
    assert np.abs(usual.std(0) / [2.0, 0.5] - 1).max() < 0.1
    assert np.array_equal(drawn(capsys, run, out, "--sampling.steps", 100), usual)  # the default, said aloud
    coarse = drawn(capsys, run, out, "--sampling.steps", 2)
    assert np.abs(coarse.std(0) / [2.0, 0.5] - 1).max() > 0.3
    flow = drawn(capsys, run, out, "--sampling.churn=0", "--sampling.steps=50")
    assert np.abs(flow.std(0) / [2.0, 0.5] - 1).max() < 0.1
    assert np.array_equal(drawn(capsys, run, out), usual)  # nothing of it stays in the run


def test_an_evaluation_with_settings_of_its_own_says_so(run, capsys):
    found = {}
    for steps in (3, 50):
        words = ["evaluate", run, "--sampling.steps", steps, "--metrics", "w2", "--json", *LEAVE]
        code, out, err = call(capsys, *words)
        assert code == 0, err
        (w2,) = json.loads(out)["metrics"].values()
        found[steps] = w2["value"]
        assert json.loads((run / "metrics.json").read_text())["sampling"] == [f"steps={steps}"]
    assert found[3] > 1.5 * found[50]
    code, out, _ = call(capsys, "report", run, "--json")
    assert "sampled with steps=50" in Path(json.loads(out)["report"]).read_text()


@pytest.mark.parametrize(
    "setting",
    [["--sampling.stepz", 5], ["--sampling.steps", 2.5], ["--sampling.steps", "many"], ["--sampling.last", 2],
     ["--sampling.churn", "x"]],
)  # fmt: skip
def test_a_setting_that_there_is_not_or_of_another_type_lists_the_fields(run, tmp_path, capsys, setting):
    for words in (["sample", run, "-n", 3, "--out", tmp_path / "x.npz"], ["evaluate", run]):
        code, _, err = call(capsys, *words, *setting, *LEAVE)
        assert code == 2
        assert err.count("\n") == 1
        assert "steps (int), churn (float), last (bool)" in err
        assert str(setting[0]) in err


def test_settings_out_of_range_without_a_value_or_of_a_run_that_has_none_are_refused(run, tmp_path, capsys):
    words = ["sample", run, "-n", 3, "--out", tmp_path / "x.npz", *LEAVE]
    code, _, err = call(capsys, *words, "--sampling.steps", 0)
    assert (code, err.count("\n")) == (2, 1)
    assert "at least 1 step" in err
    code, _, err = call(capsys, *words, "--sampling.churn", "-0.5")  # its field says a range
    assert (code, err.count("\n")) == (2, 1)
    assert "--sampling.churn -0.5: give a number at least 0" in err
    code, _, err = call(capsys, *words, "--sampling.steps")
    assert (code, err.count("\n")) == (2, 1)
    assert "give it a value" in err
    code, _, err = call(capsys, "evaluate", "--fake", "digits", "--real", "digits", "--sampling.steps", 3)
    assert code == 2
    other = tmp_path / "toy"
    quick = ["--steps", 2, "--batch", 8, "--width", 4, "--data", tmp_path / "few.npy"]
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(60, 2)))
    assert call(capsys, "train", "toy_gan", *quick, "--run", other)[0] == 0
    code, _, err = call(capsys, "sample", other, "-n", 3, "--out", tmp_path / "x.npz", "--sampling.steps", 3)
    assert (code, err.count("\n")) == (2, 1)
    assert "toy_gan has no settings" in err
