"""interpolate: a row from one picture to another, as one file."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from commands.editing.conftest import SIDE, TRUST
from guests.commands import call
from PIL import Image, ImageSequence

from pushforward.commands.editing.interpolating import LASTS

QUICK = ["--steps", 15, *TRUST]


@pytest.fixture
def pair(home):
    """The first two images of the run in colour that it learned from, as PNG files."""
    return [home.picture(f"{k}.png", home.colour[k]) for k in range(2)]


def frames(path, n: int) -> np.ndarray:
    """The pictures of an animation or of a row, (n, 8, 8, 3)."""
    image = Image.open(path)
    if path.suffix == ".webp":
        shown = list[np.ndarray]()
        for frame in ImageSequence.Iterator(image):
            levels = np.asarray(frame.convert("RGB"))
            shown += frame.info["duration"] // LASTS * [levels]  # pictures that are alike are written once
        return np.stack(shown)[:, ::32, ::32]
    scale = image.height // SIDE
    left = [k * (scale * SIDE + 2) for k in range(n)]
    rows = np.asarray(image.convert("RGBA"))[..., :3]
    return np.stack([rows[::scale, start : start + scale * SIDE : scale] for start in left])


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_a_row_begins_and_ends_at_what_was_given_where_the_level_is_low(path, home, pair, tmp_path, capsys):
    words = ["interpolate", home.base / "colour", *pair, "-n", 5, "--level", 0.05, "--path", path, "--json", *QUICK]
    code, said, err = call(capsys, *words, "--out", tmp_path / "x.webp")
    assert code == 0, err
    done = json.loads(said)
    row = frames(tmp_path / "x.webp", 5)
    assert len(row) == done["n"] == 5
    held = [float((row[k].astype(float) - home.colour[i]).std()) > 0 for k, i in ((0, 0), (-1, 1))]
    assert done["ends"] == pytest.approx(
        [np.sqrt(np.square(row[k].astype(float) - home.colour[i]).mean()) for k, i in ((0, 0), (-1, 1))], abs=1e-3
    )
    for moved, end in zip(held, done["ends"], strict=True):
        assert moved == (end > 0)
    code, _, err = call(capsys, *words, "--out", tmp_path / "x.png")
    assert code == 0, err
    both = frames(tmp_path / "x.png", 7)
    assert np.array_equal(both[[0, -1]], home.colour[:2])  # as they were given
    assert np.array_equal(both[1:-1], row)


def test_every_picture_of_a_row_is_one_of_the_runs(home, pair, tmp_path, capsys):
    words = ["interpolate", home.base / "colour", *pair, "-n", 6, "--level", 3, "--out", tmp_path / "x.webp", *QUICK]
    assert call(capsys, *words)[0] == 0
    row = frames(tmp_path / "x.webp", 6)
    off = np.abs(row[:, None].astype(float) - home.colour[None]).max((2, 3, 4)).min(1)
    assert off.max() <= 1
    first = (tmp_path / "x.webp").read_bytes()
    assert call(capsys, *words)[0] == 0
    assert (tmp_path / "x.webp").read_bytes() == first
    assert call(capsys, *words, "--seed", 1)[0] == 0
    assert (tmp_path / "x.webp").read_bytes() != first


def test_a_row_of_a_run_with_classes_stays_in_one(home, tmp_path, capsys):
    ends = [home.picture(f"g{k}.png", home.grey[k]) for k in (0, 30)]
    words = [
        "interpolate",
        home.base / "grey",
        *ends,
        "-n",
        4,
        "--level",
        9,
        "--json",
        "--out",
        tmp_path / "x.png",
        *QUICK,
    ]
    for name, bright in (("a", False), ("b", True)):
        code, said, err = call(capsys, *words, "--labels", name)
        assert (code, json.loads(said)["notes"]) == (0, []), err
        row = frames(tmp_path / "x.png", 6)[1:-1]
        assert ((row >= 130) == bright).all()
    code, said, _ = call(capsys, *words)
    assert re.search(r"the class of the path is drawn: [ab]; --labels names another", said)
    code, _, err = call(capsys, *words, "--labels", "a,b")
    assert (code, "a path stays in one class; name one" in err) == (2, True)


REFUSED = [
    ("colour", ["0.png", "g.png"], [], 3, "a grey picture, and the run's are in colour"),
    ("colour", ["0.png", "gone.png"], [], 3, "gone.png: no such file"),
    ("colour", ["0.png", "."], [], 3, "a folder, where one picture is wanted"),
    ("colour", ["0.png", "wide.png"], [], 3, "9 x 7 pixels, and 8 x 8 are wanted here; resize it, or give --fit"),
    ("colour", ["0.png", "1.png"], ["-n", "1"], 2, "--n 1: give a number between 2"),
    ("colour", ["0.png", "1.png"], ["--level", "0"], 2, "--level 0"),
    (
        "colour",
        ["0.png", "1.png"],
        ["--level", "1e9"],
        2,
        r"--level 1000000000.0: give a number between 0.001 and 1000",
    ),
    ("colour", ["0.png", "1.png"], ["--out", "x.gif"], 2, "name a file that ends in .webp or .png"),
    ("colour", ["0.png", "1.png"], ["--out", "0.png"], 2, "which this command reads or writes"),
    ("points", ["0.png", "1.png"], [], 2, "this run's samples are points; interpolate takes runs of images"),
    ("showing", ["0.png", "1.png"], [], 2, "has no denoiser; interpolate takes runs"),
]


@pytest.mark.parametrize(("run", "ends", "words", "code", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused_in_one_line(run, ends, words, code, said, home, pair, tmp_path, capsys):
    for path in pair:
        shutil.copy(path, tmp_path)
    Image.fromarray(home.grey[0]).save(tmp_path / "g.png")
    Image.fromarray(np.zeros((7, 9, 3), np.uint8)).save(tmp_path / "wide.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    words = [tmp_path / word if "." in word else word for word in words]
    out = [] if "--out" in words else ["--out", tmp_path / "x.png"]
    line = ["interpolate", home.base / run, *(tmp_path / end for end in ends), *out, *QUICK, *words]
    found, _, err = call(capsys, *line)
    assert (found, err.count("\n")) == (code, 1), err
    assert re.search(said, err), err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
