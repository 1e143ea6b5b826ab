"""What a method says of itself beside its numbers is told once, and stands in the run and on its page."""

from __future__ import annotations

import json

import pytest

from pushforward.cli import main
from pushforward.methods.particles import tape

SMALL = ["--limit", "200", "--particles", "20", "--batch", "20", "--width", "4", "--depth", "1", "--warmup", "0"]
THINNED = "step 5: 4 recorded fields are kept (fields 4); from here on 2 steps share one"


def call(capsys, *words) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert not stop.value.code
    out, err = capsys.readouterr()
    return out, " ".join(err.split())


def test_that_fields_are_thinned_is_told_once_when_it_begins(tmp_path, capsys):
    run = tmp_path / "run"
    out, err = call(capsys, "train", "toy_particles", *SMALL, "--fields", 4, "--steps", 12, "--run", run, "--json")
    assert err.count("recorded fields") == err.count(THINNED) == 1
    (words,) = json.loads(out)["remarks"]
    assert words.startswith(THINNED)
    assert json.loads((run / "run.json").read_text())["remarks"] == [words]
    assert words in (run / "report.html").read_text()
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {line["step"]: line["serves"] for line in log if "serves" in line} == {
        step: 2 if step < 9 else 4 for step in range(5, 13)
    }


def test_a_run_that_goes_on_tells_it_when_it_comes_and_never_again(tmp_path, capsys):
    run, words = tmp_path / "run", ["train", "toy_particles", "--json"]
    out, err = call(capsys, *words, *SMALL, "--fields", 4, "--steps", 4, "--run", run)
    assert json.loads(out)["remarks"] == []
    out, err = call(capsys, *words, "--run", run, "--resume", "--steps", 6)
    assert err.count(THINNED) == 1
    out, err = call(capsys, *words, "--run", run, "--resume", "--steps", 8)
    assert THINNED not in err
    assert len(json.loads(out)["remarks"]) == 1


def test_fields_0_says_what_it_takes_at_its_first_step(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tape, "BYTES", 300)
    _, err = call(capsys, "train", "toy_particles", *SMALL, "--fields", 0, "--steps", 9, "--run", tmp_path / "run")
    assert "note: fields 0 keeps all recorded fields, 9 of" in err
    assert err.index("fields 0 keeps") < err.index("step 9 of 9")
