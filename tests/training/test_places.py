"""What leaves a run's folder names no place of the machine, and in its folder the places are found again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from pushforward import cli
from pushforward.estimators import FlowGenerator
from pushforward.training.folder.places import placed, placeless, without_places


@pytest.mark.parametrize(
    ("word", "left"),
    [
        ("/home/me/my data/x.csv:key", "x.csv:key"),
        ("--data=/a/b/c.npz", "--data=c.npz"),
        ("C:\\Users\\me\\x.csv", "x.csv"),
        ("~/x.csv", "x.csv"),
        ("a/b", "a/b"),
        ("toy:ring8", "toy:ring8"),
        ("module:NAME", "module:NAME"),
        ("--seed", "--seed"),
        ("", ""),
    ],
)
def test_of_an_absolute_path_the_last_part_stays(word, left):
    assert placeless(word) == left


TOLD = {
    "arguments": {"data": "/home/me/my data/x.csv:key", "labels": None, "seed": 3, "width": [1, 2.5, True]},
    "command": "pushforward train toy --data '/home/me/my data/x.csv:key' --run '/tmp/my runs/r' --out /a/b "
    "--page=/srv/a/p.html",
    "data": {"name": "/home/me/my data/x.csv", "notes": ["/home/me/my data/x.csv: 3 of 7 columns (3/7) left out"]},
    "about": "see https://example.org/a/b, a / b, and/or ../up; cats, dogs",
}


def test_of_a_description_no_absolute_path_stays_and_all_else_does():
    found = without_places(TOLD)
    assert found["arguments"] == TOLD["arguments"] | {"data": "x.csv:key"}
    assert found["command"] == "pushforward train toy --data 'x.csv:key' --run 'r' --out b --page=p.html"
    assert found["data"] == {"name": "x.csv", "notes": ["x.csv: 3 of 7 columns (3/7) left out"]}
    assert found["about"] == TOLD["about"]
    assert without_places(found) == found


def test_places_are_found_again_where_a_description_agrees_and_nowhere_else():
    found = without_places(TOLD)
    assert placed(found, TOLD) == TOLD
    assert placed(found, {}) == found
    other = TOLD | {"arguments": TOLD["arguments"] | {"data": "/elsewhere/y.csv"}}
    assert placed(found, other)["arguments"]["data"] == "x.csv:key"
    assert placed(found, other)["arguments"]["seed"] == 3


def call(capsys, *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0), capsys.readouterr().err


def header(path: Path) -> str:
    with safe_open(path, "pt") as file:
        return json.dumps(file.metadata())


def test_weight_headers_of_a_run_tell_no_place_and_the_run_goes_on(tmp_path, capsys, monkeypatch):
    home = tmp_path / "secret home"
    home.mkdir()
    np.savez(home / "data.npz", x=np.random.default_rng(0).normal(size=(60, 2)), y=np.arange(60) % 2)
    np.save(home / "classes.npy", np.arange(60) % 2)
    words = ["train", "toy_vgrow", "--data", home / "data.npz:x", "--labels", home / "classes.npy", "--conditional"]
    words += ["--width", 8, "--run", home / "run"]
    code, err = call(capsys, *words, "--steps", 4, "--save-every", 2)
    assert code == 0, err
    for path in (home / "run" / "checkpoints").glob("*/weights.safetensors"):
        assert "secret home" not in header(path)
        assert str(tmp_path) not in header(path)
        assert "data.npz:x" in header(path)
    assert str(home / "data.npz") in (home / "run" / "run.json").read_text()
    monkeypatch.chdir("/")  # where no such name is
    assert call(capsys, "sample", home / "run", "-n", 3, "--out", tmp_path / "x.npz")[0] == 0
    assert call(capsys, "evaluate", home / "run", "--metrics", "mmd")[0] == 0
    code, err = call(capsys, *words, "--steps", 4, "--resume")
    assert code == 0, err
    moved = Path(shutil.move(home / "run", tmp_path / "other"))
    code, err = call(capsys, "sample", moved, "-n", 3, "--out", tmp_path / "y.npz")
    assert code == 0, err
    assert np.array_equal(np.load(tmp_path / "x.npz")["x"], np.load(tmp_path / "y.npz")["x"])


def test_weight_headers_of_an_estimator_tell_no_place(tmp_path):
    path = tmp_path / "model.safetensors"
    FlowGenerator(steps=1, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 2))).save(path)
    assert str(tmp_path) not in header(path)
    assert str(Path.home()) not in header(path)
