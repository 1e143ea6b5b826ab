"""Sampling a bridge from the command line: its settings, and what its draws say of themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pushforward import cli


def call(capsys, *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A bridge in two hundred numbers, with a ratio, after a few steps."""
    folder = tmp_path_factory.mktemp("bridge")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(300, 200)) * 3)
    words = ["train", "bridge_toy", "--data", folder / "x.npy", "--steps", 150, "--batch", 64, "--width", 16, "--ratio"]
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, words), "--ratio-rate", "0.003", "--run", str(folder / "run")])
    assert not stop.value.code
    return folder / "run"


def test_draws_of_monte_carlo_that_do_not_count_are_said(capsys, run, tmp_path):
    words = ["--sampling.form", "autodiff", "--sampling.first", "euler_maruyama", "--sampling.draws", 64]
    code, out, _ = call(capsys, "sample", run, "-n", 3, "--out", tmp_path / "x.npz", *words, "--json")
    assert code == 0
    assert any("of 64 draws" in note and "form denoiser" in note for note in json.loads(out)["notes"])
    code, out, _ = call(capsys, "sample", run, "-n", 3, "--out", tmp_path / "y.npz", "--json")
    assert not any("draws" in note for note in json.loads(out)["notes"])


def test_settings_that_do_not_go_together_are_one_line(capsys, run, tmp_path):
    code, _, err = call(capsys, "sample", run, "--out", tmp_path / "x.npz", "--sampling.form", "stein")
    assert code == 2
    assert "exponential steps need the denoiser" in err
    code, _, err = call(capsys, "sample", run, "--out", tmp_path / "x.npz", "--sampling.first-grid", "0,0.5,0.4,1")
    assert code == 2
    assert "go from 0 to 1" in err


def test_a_grid_of_the_users_own_and_fewer_calls_are_taken(capsys, run, tmp_path):
    for words in (["--sampling.first-grid", "0,0.5,1"], ["--sampling.second-steps", 3, "--sampling.second", "heun"]):
        code, _, err = call(capsys, "sample", run, "-n", 2, "--out", tmp_path / f"{words[1]}.npz", *words)
        assert code == 0, err
    assert not np.array_equal(np.load(tmp_path / "0,0.5,1.npz")["x"], np.load(tmp_path / "3.npz")["x"])
