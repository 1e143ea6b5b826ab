"""The card of a run's data and run.json change in one step, whatever happens between two writings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli
from pushforward.data.kept.card import card_file, read_card
from pushforward.files import layout
from pushforward.training import checkpoint

NETS = ["--batch", "8", "--width", "8", "--threads", "1"]


class Killed(BaseException):
    """What nothing catches."""


def code(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0)


def rows(seed: int, n: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


def begun(folder: Path) -> Path:
    """A run that was stopped after a step; one of its held-out rows is another since then."""
    table, run = folder / "points.npz", folder / "run"
    np.savez(table, x_train=rows(0), x_test=rows(1, 40))
    words = ["train", "toy_gan", "--data", f"{table}:x_train", *NETS, "--steps", 4, "--minutes", 0, "--run", run]
    assert code(*words) == 0
    np.savez(table, x_train=rows(0), x_test=rows(2, 50))
    return run


@pytest.mark.parametrize("moment", range(6))
def test_a_kill_between_any_two_writings_leaves_a_run_that_opens_and_goes_on(moment, tmp_path, monkeypatch):
    run, whole, left = begun(tmp_path), tmp_path / "whole", [moment]
    shutil.copytree(run, whole)

    def counted(change):
        def changed(*places, **options):
            if Path(places[0]).name == layout.LOCK:  # which the system gives up with the process
                return change(*places, **options)
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return change(*places, **options)

        return changed

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", counted(os.replace))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        with pytest.raises(Killed):
            cli.main(["train", "toy_gan", "--run", str(run), "--resume", "--minutes", "0"])
    assert code("sample", run, "-n", 3, "--out", tmp_path / "s.npz") == 0
    for folder in (run, whole):
        assert code("train", "toy_gan", "--run", folder, "--resume", "--minutes", 0) == 0
    mine, theirs = (checkpoint.load(layout.checkpoint(folder)).weights for folder in (run, whole))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert layout.cards(run) == [card_file(run)]
    assert read_card(run)[0].split.n_test == 50


def test_a_card_of_earlier_days_is_found_under_its_name_and_replaced_by_one_with_a_digest(tmp_path):
    run = begun(tmp_path)
    card_file(run).rename(run / "data.json")
    assert card_file(run).name == "data.json"
    assert code("sample", run, "-n", 3, "--out", tmp_path / "s.npz") == 0
    assert code("train", "toy_gan", "--run", run, "--resume", "--minutes", 0) == 0
    (path,) = layout.cards(run)
    assert path == card_file(run) != run / "data.json"


def test_a_card_is_one_of_a_runs_own_files_and_a_strangers_digest_leads_nowhere(tmp_path):
    run = begun(tmp_path)
    (card,) = layout.cards(run)
    assert layout.is_own(card.name)
    assert code("report", run, "--out", card.with_suffix(".html")) == 0
    assert code("sample", run, "-n", 3, "--out", card) == 2
    for digest in ("../" * 20, "x" * 64, "", 7, None, ["a"]):
        assert layout.card(digest) == layout.CARD
