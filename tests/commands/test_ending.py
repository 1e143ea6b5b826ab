"""A run that misses modes is told so at its end: on the terminal, in the JSON, in the folder and on the page."""

from __future__ import annotations

import json

import pytest

from pushforward.cli import main

SMALL = ["--width", "8", "--depth", "1", "--batch", "32"]


def call(capsys, *words) -> tuple[dict, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words), "--json"])
    assert not stop.value.code
    out, err = capsys.readouterr()
    return json.loads(out), " ".join(err.split())


@pytest.mark.slow
def test_modes_that_are_missing_are_told_once_and_again_only_of_the_new_end(tmp_path, capsys):
    run = tmp_path / "run"
    found, err = call(capsys, "train", "toy_vgrow", *SMALL, "--steps", 20, "--run", run)
    words = found["ending"][0]
    assert words.startswith("missing modes: 0 of 8 at the end, step 20, and never more; train with other options: ")
    assert err.count(f"warning: {words}") == 1
    assert json.loads((run / "run.json").read_text())["ending"] == found["ending"]
    assert words in (run / "report.html").read_text()
    assert '<p class="status fair">' in (run / "report.html").read_text()

    again, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume")
    assert again["ending"] == found["ending"]
    found, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume", "--steps", 30, "--until", 25)
    assert not any("modes" in words for words in found["ending"])  # they may still come
    assert "missing modes" not in err
    found, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume")
    assert "at the end, step 30," in found["ending"][0]


@pytest.mark.slow
def test_a_run_that_goes_on_looks_as_one_that_never_stopped(tmp_path, capsys):
    words = ["train", "toy_vgrow", *SMALL, "--steps", 40, "--sample-every", 7, "--save-every", 5]
    call(capsys, *words, "--run", tmp_path / "whole")
    call(capsys, *words, "--run", tmp_path / "parts", "--until", 17)
    call(capsys, "train", "toy_vgrow", "--run", tmp_path / "parts", "--resume")
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    looks = [[line for line in log if '"of"' in line] for log in logs]
    assert looks[0] == looks[1]
    assert [json.loads(line)["step"] for line in looks[0]] == [7, 14, 21, 28, 35, 40]
    assert all("moved" in line for line in looks[0])


@pytest.mark.slow
def test_several_long_moves_that_lose_modes_say_so_and_which_checkpoint_has_more(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "toy_vgrow", "--data", "toy:grid25", "--moves", 3, "--step", 0.5, "--steps", 1500]
    free = ["--pool", 1, "--fits", 1, "--radius", "inf", "--last", 0]  # what several moves are not by themselves
    found, _ = call(capsys, *words, *free, "--run", run)
    (said,) = found["ending"]
    assert said.startswith("lost modes: ")
    assert "checkpoints/best, of step" in said
    assert "lower --step (now 0.5)" in said
    assert any("lags its particles" in remark for remark in found["remarks"])
    assert any("critic is stale" in remark for remark in found["remarks"])
