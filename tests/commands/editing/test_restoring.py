"""restore: known pixels come back to the last bit, draws are a sequence, what does not fit is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands.editing.conftest import SIDE, TRUST
from guests.commands import call
from PIL import Image

from pushforward.commands.editing import restoring as command
from pushforward.data import load

QUICK = ["--steps", 12, "--strategy", "resample:2", *TRUST]


def levels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def restored(capsys, run: Path, image: Path, out: Path, *words: object) -> tuple[dict, np.ndarray]:
    """What a restoration says, and its draws in the order of their names."""
    code, said, err = call(capsys, "restore", run, image, "--out", out, "--json", *QUICK, *words)
    assert code == 0, err
    return json.loads(said), np.stack([levels(path) for path in sorted((out / "draws").glob("*.png"))])


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("how", ["fixed", "fresh", "resample:3", "guidance"])
def test_known_pixels_come_back_to_the_last_bit(side, how, home, tmp_path, capsys):
    image = np.random.default_rng(1).integers(0, 256, size=(SIDE, SIDE, 3)).astype(np.uint8)
    path = home.picture("new.png", image)
    words = ["--mask-half", side, "-n", 3, "--strategy", how]
    done, draws = restored(capsys, home.base / "colour", path, tmp_path / "o", *words)
    hidden = np.zeros((SIDE, SIDE), bool)
    {"left": hidden[:, :4], "right": hidden[:, 4:], "top": hidden[:4], "bottom": hidden[4:]}[side][:] = True
    assert (draws[:, ~hidden] == image[~hidden]).all()
    assert (draws[:, hidden] != image[hidden]).any()
    assert done["off"] == 0
    assert (done["n"], done["shape"], done["task"]) == (3, [SIDE, SIDE, 3], f"mask-half {side}")


def test_what_the_run_remembers_is_filled_in_where_half_of_it_is_shown(home, tmp_path, capsys):
    """Of 36 images of noise half of the pixels name one: most find the rest of it, and all that are resampled."""
    folder = tmp_path / "in"
    folder.mkdir()
    data, counts = load(str(home.base / "colour.npz")), {}
    train = data.decode(data.train[:20])
    for k, image in enumerate(train):
        shown = image.copy()
        shown[:, :4] = 0
        Image.fromarray(shown).save(folder / f"{k:02d}.png")
    for how in ("fixed", "fresh", "resample:2", "guidance"):
        words = ["--mask-half", "left", "-n", 1, "--strategy", how]
        _, draws = restored(capsys, home.base / "colour", folder, tmp_path / how, *words)
        right = [bool((draw == image).all()) for draw, image in zip(draws, train, strict=True)]
        counts[how] = sum(right)
    assert min(counts.values()) >= 12
    assert counts["resample:2"] >= 19


def test_a_mask_says_in_white_what_is_known(home, tmp_path, capsys):
    seen = np.random.default_rng(2).random((SIDE, SIDE)) < 0.5
    mask = home.picture("mask.png", seen.astype(np.uint8) * 255)
    path = home.picture("grey.png", home.grey[3])
    done, draws = restored(capsys, home.base / "grey", path, tmp_path / "o", "--mask", mask, "-n", 2, "--labels", "b")
    assert (draws[:, seen] == home.grey[3][seen]).all()
    assert (draws[:, ~seen] >= 130).all()  # of the bright class, as asked
    assert done["notes"] == []
    assert draws.shape == (2, SIDE, SIDE)


def test_colours_keep_the_grey_and_a_grey_picture_may_have_one_channel(home, tmp_path, capsys):
    grey = home.colour[5].mean(-1).round().astype(np.uint8)
    path = home.picture("one.png", grey)
    done, draws = restored(capsys, home.base / "colour", path, tmp_path / "o", "--colorize", "-n", 4)
    inside = ((draws > 0) & (draws < 255)).all(-1)
    assert inside.sum() > 100
    assert np.abs(draws.astype(float).mean(-1) - grey)[inside].max() <= 0.5 + 1e-3
    assert done["off"] == pytest.approx(np.abs(draws.astype(float).mean(-1) - grey).max(), abs=1e-3)
    assert (draws.std(-1) > 0).any()
    done, _ = restored(
        capsys, home.base / "colour", home.picture("rgb.png", home.colour[5]), tmp_path / "p", "--colorize"
    )
    assert "1 of 1 pictures are in colour: of these the mean of their channels is known" in done["notes"]


def test_a_small_picture_is_the_means_of_blocks(home, tmp_path, capsys):
    small = home.colour[7].reshape(4, 2, 4, 2, 3).mean((1, 3)).round().astype(np.uint8)
    path = home.picture("small.png", small)
    done, draws = restored(capsys, home.base / "colour", path, tmp_path / "o", "--upscale", 2, "-n", 2)
    means = draws.reshape(2, 4, 2, 4, 2, 3).astype(float).mean((2, 4))
    assert np.abs(means - small).max() == pytest.approx(done["off"], abs=1e-3)
    assert done["off"] < 40
    assert draws.shape == (2, SIDE, SIDE, 3)
    code, _, err = call(capsys, "restore", home.base / "colour", path, "--upscale", 3, "--out", tmp_path / "p", *QUICK)
    assert (code, "use one of 2, 4" in err) == (2, True), err
    code, _, err = call(capsys, "restore", home.base / "colour", path, "--upscale", 4, "--out", tmp_path / "p", *QUICK)
    assert (code, "4 x 4 pixels, and 2 x 2 are wanted here" in err) == (3, True), err


def test_pictures_that_the_model_sees_in_a_frame_of_black_come_without_it(home, tmp_path, capsys):
    """7 x 7 pixels stand in 8 x 8, and the frame is known: what is not may be found where half of the rest is."""
    data = load(str(home.base / "odd.npz"))
    image = data.decode(data.train[:1])[0]
    path = home.picture("odd.png", image)
    for side, known in (("left", np.s_[:, :, 3:]), ("bottom", np.s_[:, :4])):
        done, draws = restored(capsys, home.base / "odd", path, tmp_path / side, "--mask-half", side, "-n", 2)
        assert (done["shape"], done["off"]) == ([7, 7], 0)
        assert (draws[known] == image[known[1:]]).all()
    _, draws = restored(capsys, home.base / "odd", path, tmp_path / "g", "--mask-half", "top", "-n", 1)
    assert (draws[0] == image).all()
    line = ["restore", home.base / "odd", path, "--upscale", 7, "--out", tmp_path / "u", *QUICK]
    code, _, err = call(capsys, *line)
    assert (code, "this run's images have no blocks" in err) == (2, True), err


def test_fewer_draws_are_the_first_of_more_and_a_folder_gives_what_its_pictures_give(home, tmp_path, capsys):
    rng, folder = np.random.default_rng(3), tmp_path / "in"
    folder.mkdir()
    for name in ("u", "v"):
        Image.fromarray(rng.integers(0, 256, size=(SIDE, SIDE, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    run, words = home.base / "colour", ["--mask-half", "top", "-n", 5]
    done, both = restored(capsys, run, folder, tmp_path / "a", *words)
    assert done["pictures"] == ["u", "v"]
    _, again = restored(capsys, run, folder, tmp_path / "b", *words)
    assert np.array_equal(both, again)
    _, alone = restored(capsys, run, folder / "v.png", tmp_path / "c", *words)
    assert np.array_equal(both[5:], alone)
    _, few = restored(capsys, run, folder / "v.png", tmp_path / "d", *words, "-n", 2)
    assert np.array_equal(few, alone[:2])
    _, other = restored(capsys, run, folder / "v.png", tmp_path / "e", *words, "--seed", 1)
    assert not np.array_equal(other, alone)


def test_classes_of_draws_are_those_asked_for_in_turn_or_said_to_be_drawn(home, tmp_path, capsys):
    path = home.picture("half.png", home.grey[0])
    words = ["--mask-half", "left", "-n", 4]
    _, draws = restored(capsys, home.base / "grey", path, tmp_path / "a", *words, "--labels", "a,b")
    assert [bool(draw[:, :4].min() >= 130) for draw in draws] == [False, True, False, True]
    done, _ = restored(capsys, home.base / "grey", path, tmp_path / "b", *words)
    assert any("--labels names them" in note for note in done["notes"])


def test_a_grid_stands_beside_the_draws(home, tmp_path, capsys):
    path = home.picture("g.png", home.colour[0])
    restored(capsys, home.base / "colour", path, tmp_path / "o", "--mask-half", "left", "-n", 4)
    sheet = Image.open(tmp_path / "o" / "grids" / "g.png")
    w, h = sheet.size
    cell = (w + 2) / 8  # original, known, 4 draws, mean, spread; a gap of two pixels between
    assert cell == int(cell) == h + 2
    shown = np.asarray(sheet)[:, :, :3]
    known = shown[:, int(cell) : int(cell) + h]
    assert (known[:, : h // 2] == 128).all()
    assert np.array_equal(known[:, h // 2 :], shown[:, :h][:, h // 2 :])


def test_a_picture_of_another_size_is_resized_only_where_that_is_asked_and_said(home, tmp_path, capsys):
    path = home.picture("wide.png", np.random.default_rng(4).integers(0, 256, (20, 30, 3)).astype(np.uint8))
    words = ["restore", home.base / "colour", path, "--mask-half", "left", "--out", tmp_path / "o", *QUICK]
    code, _, err = call(capsys, *words)
    assert (code, err.count("\n")) == (3, 1)
    assert "30 x 20 pixels, and 8 x 8 are wanted here; resize it, or give --fit" in err
    done, draws = restored(capsys, home.base / "colour", path, tmp_path / "p", "--mask-half", "left", "--fit")
    assert done["notes"] == ["wide.png: 30 x 20 pixels, cut to the central square and resized to 8 x 8"]
    assert (draws[:, :, 4:] == draws[:1, :, 4:]).all()
    mask = home.picture("large.png", np.kron(np.eye(2), np.full((8, 8), 255)).astype(np.uint8))
    done, draws = restored(capsys, home.base / "colour", path, tmp_path / "q", "--mask", mask, "--fit")
    assert any("cut at half between black and white" in note for note in done["notes"])
    assert (draws[:, :4, :4] == draws[:1, :4, :4]).all()


GREY, RGB = (
    np.zeros((SIDE, SIDE), np.uint8),
    np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8),
)
PICTURES = {
    "rgb.png": RGB, "l.png": GREY + 7, "deep.png": np.full((SIDE, SIDE), 40000, np.uint16),
    "mask9.png": np.eye(9, dtype=np.uint8) * 255, "soft.png": np.full((SIDE, SIDE), 37, np.uint8),
    "clear.png": np.stack([GREY + 255] * 3 + [np.eye(SIDE, dtype=np.uint8) * 255], -1),
    "white.png": GREY + 255, "black.png": GREY, "half.png": np.eye(SIDE, dtype=np.uint8) * 255,
}  # fmt: skip
REFUSED = [
    ("colour", "rgb.png", ["--mask", "mask9.png"], 3, "mask9.png: 9 x 9 pixels, and 8 x 8 are wanted"),
    ("colour", "rgb.png", ["--mask", "soft.png"], 3, r"levels such as 37: save it in black \(0\) and white \(255\)"),
    ("colour", "rgb.png", ["--mask", "white.png"], 2, "is all white, and nothing is left to fill in"),
    ("colour", "rgb.png", ["--mask", "black.png"], 2, "is all black, and nothing is known"),
    ("colour", "rgb.png", ["--mask", "clear.png"], 3, "clear.png: a mask with transparent pixels: save it opaque"),
    ("colour", "rgb.png", ["--mask", "none.png"], 3, "none.png: no such file"),
    ("grey", "rgb.png", ["--mask-half", "left"], 3, "in colour, and the run's are grey: convert it to grey"),
    (
        "colour",
        "l.png",
        ["--mask-half", "left"],
        3,
        "a grey picture, and the run's are in colour: use restore --colorize",
    ),
    ("grey", "deep.png", ["--mask-half", "left"], 3, "16 bits a channel.*save it with 8 bits"),
    ("colour", "nowhere.png", ["--mask-half", "left"], 3, "no such file or folder; check the path"),
    ("colour", "empty", ["--mask-half", "left"], 3, "the folder holds no images"),
    ("colour", "torn.png", ["--mask-half", "left"], 3, "not a readable image"),
    ("grey", "l.png", ["--colorize"], 2, "--colorize: the run's images have 1 channels"),
    ("points", "rgb.png", ["--mask-half", "left"], 2, "this run's samples are points; restore takes runs of images"),
    (
        "showing",
        "rgb.png",
        ["--mask-half", "left"],
        2,
        "a run of remembering:showing has no denoiser; restore takes runs",
    ),
    ("nowhere", "rgb.png", ["--mask-half", "left"], 3, "no such run"),
    ("colour", "rgb.png", [], 2, "nothing said of what is known; give one of --mask"),
    ("colour", "rgb.png", ["--colorize", "--mask-half", "left"], 2, "--mask-half and --colorize; give one of"),
    ("colour", "rgb.png", ["--mask-half", "left", "-n", "0"], 2, "--n 0: give a number between 1"),
    ("colour", "rgb.png", ["--mask-half", "left", "--strategy", "repaint"], 2, "strategy repaint: .*use fixed, fresh"),
    ("colour", "rgb.png", ["--mask-half", "left", "--labels", "a"], 2, "this run knows no classes"),
]


@pytest.mark.parametrize(("run", "image", "words", "code", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_made(
    run, image, words, code, said, home, tmp_path, capsys
):
    for name, picture in PICTURES.items():
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.png").write_bytes(b"no picture")
    words = [tmp_path / word if str(word).endswith(".png") else word for word in words]
    line = ["restore", home.base / run, tmp_path / image, "--out", tmp_path / "o", *QUICK, *words]
    found, _, err = call(capsys, *line)
    assert (found, err.count("\n")) == (code, 1), err
    assert re.search(said, err), err
    assert not (tmp_path / "o").exists()


def test_inputs_runs_and_earlier_draws_are_not_written_over(home, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(RGB).save(folder / "x.png")
    run = Path(shutil.copytree(home.base / "colour", tmp_path / "run"))
    (tmp_path / "full").mkdir()
    Image.fromarray(RGB).save(tmp_path / "full" / "mine.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    wrong = {folder: "which this command reads", folder / "o": "which this command reads",
             run / "samples": "belongs to the run", tmp_path / "full": "already holds PNG files"}  # fmt: skip
    for out, said in wrong.items():
        code, _, err = call(capsys, "restore", run, folder, "--mask-half", "left", "--out", out, *QUICK)
        assert (code, err.count("\n"), said in err) == (2, 1, True), err

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "grid", failing)  # after the draws of the first picture are written
    code, _, err = call(capsys, "restore", run, folder, "--mask-half", "left", "--out", tmp_path / "new", *QUICK)
    assert (code, err.count("\n")) == (1, 1), err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()
