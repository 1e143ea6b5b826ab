"""A stranger's run that says what no run says: told in one line, never a traceback."""

from __future__ import annotations

import pytest

from pushforward import guests
from pushforward.cli import main
from pushforward.training import checkpoint

SMALL = ["--data", "toy:moons", "--limit", "60", "--particles", "20", "--batch", "20", "--width", "8", "--warmup", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strange") / "run"
    with pytest.raises(SystemExit, match="0"):
        main(["train", "toy_particles", *SMALL, "--steps", "3", "--minutes", "1e-9", "--run", str(folder)])
    return folder


@pytest.mark.parametrize("run", [{}, {"arguments": None}, {"recipe": 3, "arguments": [1]}])
def test_whom_to_blame_is_asked_of_any_description(run):
    assert guests.of_run(run, ("mine",))[-1] == "mine"


def test_a_log_line_of_endless_nesting_is_dropped_as_other_damaged_ones(run, capsys):
    log = run / "log.jsonl"
    before = log.read_text()
    log.write_text(before + "[" * 100_000 + "\n")
    with pytest.raises(SystemExit, match="0"):
        main(["train", "toy_particles", "--run", str(run), "--resume", "--minutes", "1e-9"])
    assert "[[" not in log.read_text()
    assert log.read_text().startswith(before)


def test_a_checkpoint_that_names_no_recipe_is_one_line(run, capsys):
    last = run / "checkpoints" / "last"
    saved = checkpoint.load(last)
    few = dict(list(saved.weights.items())[:1])
    checkpoint.save(last, few, saved.resume, {k: v for k, v in saved.run.items() if k != "recipe"})
    with pytest.raises(SystemExit, match="3"):
        main(["train", "toy_particles", "--run", str(run), "--resume"])
    said = capsys.readouterr().err
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert "Traceback" not in said
