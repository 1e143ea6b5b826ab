"""A folder of pictures is what its owner sees in it, and whatever is passed over, cut or scaled is said."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, features

from pushforward.data.compare.inputs import opened
from pushforward.data.compare.pairs import read_pair
from pushforward.data.source import load, read_array
from pushforward.errors import DataError, UsageError
from pushforward.recipes.parts import wiring
from pushforward.settings.groups import Classes, Rows

RNG = np.random.default_rng(0)


def fill(folder, n, size=(16, 16), suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(folder / f"{k:03}.{suffix}")


def test_hidden_folders_are_no_classes_and_are_named(tmp_path):
    for name in ("cat", "dog", ".ipynb_checkpoints", ".thumbnails"):
        fill(tmp_path / name, 6)
    fill(tmp_path / "cat" / ".cache", 2)
    data = load(str(tmp_path))
    assert data.classes == ("cat", "dog")
    assert data.split.n_train + data.split.n_test == 12
    assert data.notes == ("hidden folders are left out: .ipynb_checkpoints, .thumbnails, cat/.cache",)
    hidden = tmp_path / "one" / ".hidden"
    fill(hidden, 3)
    with pytest.raises(DataError, match=r"holds no images \(hidden folders are left out: .hidden\)"):
        load(str(hidden.parent))


def test_linked_classes_count_and_loops_end(tmp_path):
    fill(tmp_path / "elsewhere" / "b", 6)
    fill(tmp_path / "pics" / "a", 6)
    os.symlink(tmp_path / "elsewhere" / "b", tmp_path / "pics" / "b")
    os.symlink(tmp_path / "pics", tmp_path / "pics" / "a" / "up")
    os.symlink(tmp_path / "pics" / "a", tmp_path / "elsewhere" / "b" / "across")
    os.symlink(tmp_path / "nowhere", tmp_path / "pics" / "broken")
    data = load(str(tmp_path / "pics"))
    assert data.classes == ("a", "b")
    assert data.split.n_train + data.split.n_test == 12
    assert "linked folders that were met before are left out: a/up, b/across" in data.notes


@pytest.mark.parametrize("suffix", ["jfif", "ppm", "jpe", "avif", "jp2"])
def test_what_pillow_reads_is_read(tmp_path, suffix):
    feature = {"avif": "avif", "jp2": "jpg_2000"}.get(suffix)
    if feature is not None and not features.check(feature):
        pytest.skip(f"this Pillow was built without {suffix}")
    form = "jpeg" if suffix in ("jfif", "jpe") else None
    for k in range(12):
        Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{k}.{suffix}", form)
    assert len(load(str(tmp_path)).train) == 11


def test_files_that_are_no_pictures_are_counted_by_their_endings(tmp_path):
    fill(tmp_path, 12)
    for name in ("a.txt", "b.txt", "c.eps", "README", ".DS_Store"):
        (tmp_path / name).write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    assert load(str(tmp_path)).notes == ("4 files left out, not read as pictures: 2 .txt, 1 no ending, 1 .eps",)
    (tmp_path / "d.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match="not a readable image"):  # no program is started for it
        load(str(tmp_path))


def test_the_side_is_that_of_most_pictures(tmp_path):
    fill(tmp_path, 60, (64, 64))
    fill(tmp_path / "icons", 1, (8, 8))
    fill(tmp_path / "more", 2, (128, 128))
    data = load(str(tmp_path))
    assert data.event == (3, 64, 64)
    assert data.notes == (
        "1 of 63 pictures are enlarged to the side 64 (the first: 000.png, 8 x 8)",
        "2 of 63 pictures are scaled down to the side 64, from up to 128",
        "60 pictures beside the folders (the first: 000.png): folders are no classes; move them if they are",
    )


def test_an_odd_one_among_padded_pictures_leaves_the_padding(tmp_path):
    fill(tmp_path, 20, (28, 28))
    whole = read_array(str(tmp_path))[0]
    fill(tmp_path / "odd", 1, (8, 8))
    assert np.array_equal(read_array(str(tmp_path))[0][:20], whole)


def test_panoramas_are_said_to_be_cut(tmp_path):
    fill(tmp_path, 11, (64, 16))
    fill(tmp_path / "square", 1)
    assert load(str(tmp_path)).notes == (
        "11 of 12 pictures are not square: the square in their middle is kept, up to 75% of a picture is cut off",
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_levels_of_any_depth_fill_the_range(tmp_path, bits):
    levels = RNG.integers(0, 256, (12, 16, 16))
    levels[0, 0, 0] = 255
    for k, image in enumerate(levels):
        Image.fromarray((image << (bits - 8)).astype(np.uint16)).save(tmp_path / f"{k:02}.png")
    x, _ = read_array(str(tmp_path))
    assert np.array_equal(x, levels)
    assert f"read as {bits} bits" in load(str(tmp_path)).notes[0]
    shown = opened(str(tmp_path), "fake", 0)
    assert any(f"read as {bits} bits" in note for note in shown.notes)


def test_one_picture_beside_folders_of_classes_is_named_and_is_why_there_are_none(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name, 12)
    assert load(str(tmp_path)).notes == ()
    fill(tmp_path, 1)
    (tmp_path / "000.png").rename(tmp_path / "top.png")
    data = load(str(tmp_path))
    assert data.classes is None
    said = "1 picture beside the folders (top.png): folders are no classes; move it if they are"
    assert data.notes == (said,)
    rows = Rows(data=str(tmp_path), limit=None, test_fraction=None)
    with pytest.raises(UsageError, match=r"no labels found: 1 picture beside the folders \(top.png\)"):
        wiring.load(rows, Classes(conditional=True))
    (tmp_path / "top.png").unlink()
    assert wiring.load(rows, Classes(conditional=True)).classes == ("cat", "dog")
    with pytest.raises(UsageError, match="put the pictures of each class into a folder of its own"):
        wiring.load(replace(rows, data=str(tmp_path / "cat")), Classes(conditional=True))


def test_a_reader_to_learn_from_says_of_pictures_what_one_to_compare_says(tmp_path):
    fill(tmp_path, 12)
    for k in range(2):
        Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / f"grey{k}.png")
        Image.fromarray(RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)).save(tmp_path / f"clear{k}.png")
    frames = [Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    said = (
        "2 of 17 pictures have an alpha channel: laid on black",
        "1 of 17 pictures have several frames: one is taken, the first (of moving.gif, 3 frames)",
        "2 of 17 pictures are grey: repeated in three channels because others are in colour",
    )
    assert load(str(tmp_path)).notes == said
    shown = read_pair(str(tmp_path), str(tmp_path)).notes
    assert {f"{role}: {words}" for role in ("fake", "real") for words in said} <= set(shown)
    assert not [note for note in load(str(tmp_path), channels=4).notes if "alpha" in note]


def test_greys_alone_are_no_matter(tmp_path):
    for k in range(12):
        Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / f"grey{k}.png")
    assert load(str(tmp_path)).notes == ()
    assert not [note for note in read_pair(str(tmp_path), str(tmp_path)).notes if "repeated" in note]


def test_notes_are_part_of_a_run(tmp_path):
    fill(tmp_path, 12, (32, 16))
    assert json.loads(json.dumps(load(str(tmp_path)).notes))
