"""A card tells of the very checkpoint that it goes with, of a run that stopped, was resumed and lengthened too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting.test_export import call

from pushforward.commands.rebuilding import standing
from pushforward.exporting.loading import load_generator


@pytest.fixture
def run(tmp_path, capsys) -> Path:
    """A finished and evaluated run of three steps, on a table with a telling folder."""
    home = tmp_path / "secret_home"
    home.mkdir()
    rows = [f"{x:.4f},{y:.4f}" for x, y in np.random.default_rng(0).normal(3, 2, (120, 2))]
    (home / "table.csv").write_text("\n".join(["height,weight", *rows]) + "\n")
    words = ["toy_vgrow", "--data", home / "table.csv", "--steps", 3, "--width", 8, "--seed", 5, "--run", home / "run"]
    assert call(capsys, "train", *words)[0] == 0
    return home / "run"


def card_of(capsys, run: Path, out: Path, *words: object) -> tuple[dict[str, Any], str]:
    """The card of an export, and its page."""
    code, _, err = call(capsys, "export", run, "--out", out, *words)
    assert (code, err) == (0, "")
    page = out.with_name(f"{out.name}.md").read_text()
    assert "secret_home" not in page
    assert b"secret_home" not in out.read_bytes()
    return dict(load_generator(out, trust=True).card), page


def test_a_card_after_a_run_was_lengthened_tells_of_what_it_is_now(run, tmp_path, capsys):
    before, _ = card_of(capsys, run, tmp_path / "a.safetensors")
    longer = ["toy_vgrow", "--run", run, "--resume", "--steps", 6, "--rate", 5e-4]
    assert call(capsys, "train", *longer)[0] == 0
    card, page = card_of(capsys, run, tmp_path / "b.safetensors", "--licence", "CC BY 4.0")
    about = json.loads((run / "run.json").read_text())
    stored = json.loads((run / "metrics.json").read_text())
    assert (before["run"]["step"], before["run"]["steps"]) == (3, 3)
    assert (card["run"]["step"], card["run"]["steps"]) == (6, 6)
    assert card["run"]["seed"] == before["run"]["seed"] == 5
    assert card["run"]["arguments"]["rate"] == 5e-4
    assert card["run"]["legs"][-1]["from"] == 3
    assert card["run"]["legs"][-1]["changed"]["rate"] == about["legs"][-1]["changed"]["rate"]
    assert "| changed on the way | from step 3: " in page
    assert card["run"]["command"]
    assert card["metrics"]["step"] == stored["step"] == 6
    assert {name: measure.get("floor") for name, measure in card["metrics"]["values"].items()} == {
        name: measure.get("floor") for name, measure in stored["metrics"].items()
    }
    assert any("floor" in measure for measure in card["metrics"]["values"].values())
    assert card["data"]["licence"] == "CC BY 4.0"
    assert before["data"]["licence"] == "not given"
    assert card["data"]["rows"] == before["data"]["rows"]
    assert card["data"]["sha256"] == before["data"]["sha256"] == about["data"]["sha256"]


def test_metrics_of_another_step_are_no_claim_about_a_file(run, tmp_path, capsys):
    kept = (run / "metrics.json").read_bytes()
    assert call(capsys, "train", "toy_vgrow", "--run", run, "--resume", "--steps", 6)[0] == 0
    (run / "metrics.json").write_bytes(kept)  # as where the run was cut before it was evaluated
    card, page = card_of(capsys, run, tmp_path / "a.safetensors")
    assert card["metrics"] == "not evaluated at step 6; metrics.json is of step 3"
    assert "Not evaluated at step 6; metrics.json is of step 3: no claim is made." in page
    (run / "metrics.json").unlink()
    card, page = card_of(capsys, run, tmp_path / "b.pt")
    assert card["metrics"] == "not evaluated"
    assert "Not evaluated: no claim is made." in page


def test_every_command_says_of_an_unfinished_run_where_it_stands(run, tmp_path, capsys):
    commands = (
        ("sample", run, "-n", 20, "--out", tmp_path / "x.npz"),
        ("export", run, "--out", tmp_path / "m.safetensors"),
        ("evaluate", run, "--metrics", "mmd", "-n", 20),
    )

    def said() -> list[list[str]]:
        return [
            [note for note in json.loads(call(capsys, *command, "--json")[1])["notes"] if note.startswith("step ")]
            for command in commands
        ]

    assert said() == [[]] * 3
    words = ("train", "toy_vgrow", "--run", run, "--resume", "--steps", 9, "--until", 5)
    assert call(capsys, *words)[0] == 0
    assert said() == [["step 5 of 9: the run is not at its end"]] * 3
    for command in commands:
        _, out, err = call(capsys, *command)
        assert "step 5 of 9: the run is not at its end" in " ".join((out + err).split())


@pytest.mark.parametrize(
    ("about", "last", "best"),
    [
        ({"step": 0, "steps": 9}, ("step 0 of 9: nothing is learned yet",), ("step 0 of 9: nothing is learned yet",)),
        ({"step": 4, "steps": 9}, ("step 4 of 9: the run is not at its end",), ()),
        ({"step": 4, "steps": 9, "ended": "it was enough"}, (), ()),
        ({"step": 9, "steps": 9}, (), ()),
        ({"step": "4", "steps": None}, (), ()),
    ],
)
def test_only_a_run_before_its_end_is_spoken_of(about, last, best):
    assert standing(about, "last") == last
    assert standing(about, "best") == best
