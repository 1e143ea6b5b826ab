"""Laws of the readers and of the grammar digits | toy:NAME | PATH[:key]."""

import gzip
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data.source import load, parse, read_array
from pushforward.data.toys.digits import digits

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((40, 3)) * (1, 10, 100)
LEVELS = RNG.integers(0, 256, (40, 28, 28), dtype=np.uint8)
KINDS = np.arange(40) % 4


def pool(data) -> np.ndarray:
    """All rows of a data set in data units, sorted."""
    rows = data.decode(torch.cat([data.train, data.test]))
    return rows[np.lexsort(rows.reshape(len(rows), -1).T)]


def ordered(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.reshape(len(rows), -1).T)]


def idx(x: np.ndarray) -> bytes:
    return bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


def test_digits_lie_on_seventeen_levels_with_a_third_held_out():
    data = load("digits")
    assert data.event == (1, 8, 8)
    assert (len(data.train), len(data.test), data.n_classes) == (1198, 599, 10)
    assert data.train.unique().tolist() == [v / 8 - 1 for v in range(17)]
    assert data.decode(data.test).dtype == np.uint8
    assert (data.encode(data.decode(data.test)) - data.test).abs().max() <= 1 / 255 + 1e-6
    assert load("digits", side=16).event == (1, 16, 16)


def test_equal_arguments_give_equal_data():
    one, same, other = digits(seed=1), digits(seed=1), digits(seed=2)
    assert torch.equal(one.train, same.train)
    assert one.split == same.split
    assert not torch.equal(one.train, other.train)
    assert one.split.sha256 == other.split.sha256


@pytest.mark.parametrize("form", ["npy", "npz", "npz:key", "csv", "csv without names", "semicolons", "tabs", "parquet"])
def test_points_are_the_same_from_every_format(form, tmp_path):
    path, names = tmp_path / "x", "a,b,c"
    if form == "npy":
        spec = path.with_suffix(".npy")
        np.save(spec, POINTS)
    elif form.startswith("npz"):
        np.savez(path.with_suffix(".npz"), x=POINTS, y=KINDS, **({"z": KINDS} if ":" in form else {}))
        spec = f"{path.with_suffix('.npz')}{':x' if ':' in form else ''}"
    elif form == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        spec = path.with_suffix(".parquet")
        parquet.write_table(pyarrow.table(dict(zip("abc", POINTS.T, strict=True))), spec)
    else:
        spec, mark = path.with_suffix(".csv"), {"semicolons": ";", "tabs": "\t"}.get(form, ",")
        header = "" if "without" in form else names.replace(",", mark)
        np.savetxt(spec, POINTS, delimiter=mark, header=header, comments="", fmt="%.17g")
        spec.write_text(spec.read_text().removeprefix("\n"))
    data = load(str(spec))
    assert data.kind == "points"
    assert (len(data.train), len(data.test)) == (36, 4)
    np.testing.assert_allclose(pool(data), ordered(POINTS), rtol=1e-6, atol=1e-5)
    x, kind = read_array(str(spec))
    assert kind == "points"
    np.testing.assert_array_equal(x, POINTS)


def test_one_dimension_is_a_single_column(tmp_path):
    np.save(tmp_path / "x.npy", POINTS[:, 0])
    assert load(str(tmp_path / "x.npy")).event == (1,)


def test_fortran_order_and_narrow_types_are_read(tmp_path):
    x = np.asfortranarray(POINTS.astype(">f4"))
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(read_array(str(tmp_path / "x.npy"))[0], x.astype(np.float64))


def test_columns_are_chosen_in_the_order_named_and_labels_are_left_out(tmp_path):
    lines = [f"{i},{i * i % 7},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "t.csv").write_text("u,v,kind\n" + "\n".join(lines))
    data = load(f"{tmp_path / 't.csv'}:v,u")
    assert data.columns == ("v", "u")
    labelled = load(str(tmp_path / "t.csv"), labels="kind")
    assert labelled.columns == ("u", "v")
    assert labelled.classes == ("a", "b")
    assert labelled.train_labels is not None
    first = np.rint(labelled.decode(labelled.train)[:, 0]).astype(int)
    assert labelled.train_labels.tolist() == (first % 2).tolist()


def test_an_unnamed_column_of_row_numbers_is_left_out(tmp_path):
    (tmp_path / "t.csv").write_text(",u\n" + "".join(f"{i},{i % 5}\n" for i in range(20)))
    assert load(str(tmp_path / "t.csv")).columns == ("u",)


def test_a_file_brings_its_labels_and_its_test_set(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x_train=LEVELS, y_train=KINDS, x_test=LEVELS[:7], y_test=KINDS[:7])
    data = load(f"{path}:x_train")
    assert data.event == (1, 32, 32)
    assert np.array_equal(data.decode(data.train), LEVELS)
    assert np.array_equal(data.decode(data.test), LEVELS[:7])
    assert data.train_labels is not None
    assert data.test_labels is not None
    assert data.train_labels.tolist() == KINDS.tolist()
    assert data.test_labels.tolist() == KINDS[:7].tolist()
    assert len(load(f"{path}:x_train", test_fraction=0.5).test) == 20
    assert np.array_equal(read_array(f"{path}:x_train")[0], LEVELS)


def test_measurements_beside_the_points_are_not_taken_for_labels(tmp_path):
    np.savez(tmp_path / "x.npz", x=POINTS, y=POINTS[:, 0])
    assert load(str(tmp_path / "x.npz")).train_labels is None


def test_labels_may_come_from_another_file(tmp_path):
    np.save(tmp_path / "x.npy", KINDS[:, None] + 0.25)
    np.save(tmp_path / "y.npy", KINDS)
    np.savetxt(tmp_path / "y.csv", KINDS, fmt="%d", header="kind", comments="")
    for labels in ("y.npy", "y.csv", "y.csv:kind"):
        data = load(str(tmp_path / "x.npy"), labels=str(tmp_path / labels))
        assert data.train_labels is not None
        np.testing.assert_allclose(data.decode(data.train)[:, 0], data.train_labels + 0.25, atol=1e-6)


def test_a_limit_keeps_rows_with_their_labels(tmp_path):
    np.savez(tmp_path / "x.npz", x=KINDS[:, None] * 1.0, y=KINDS)
    data = load(str(tmp_path / "x.npz"), limit=20)
    assert data.split.n_train + data.split.n_test == 20
    assert data.train_labels is not None
    np.testing.assert_allclose(data.decode(data.train)[:, 0], data.train_labels, atol=1e-6)
    assert len(load("toy:moons", limit=110).train) == 100


def test_a_colon_in_a_path_is_not_a_key(tmp_path):
    path = tmp_path / "a:b.npy"
    np.save(path, POINTS)
    assert parse(str(path)) == (path, None)
    assert load(str(path)).event == (3,)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_find_their_labels_and_their_test_set(packed, tmp_path):
    write = (
        (lambda p, b: p.with_name(f"{p.name}.gz").write_bytes(gzip.compress(b)))
        if packed
        else (lambda p, b: p.write_bytes(b))
    )
    for stem, rows in (("train", 40), ("t10k", 6)):
        write(tmp_path / f"{stem}-images-idx3-ubyte", idx(LEVELS[:rows]))
        write(tmp_path / f"{stem}-labels-idx1-ubyte", idx(KINDS[:rows].astype(np.uint8)))
    data = load(str(tmp_path / ("train-images-idx3-ubyte" + (".gz" if packed else ""))))
    assert np.array_equal(data.decode(data.train), LEVELS)
    assert np.array_equal(data.decode(data.test), LEVELS[:6])
    assert data.test_labels is not None
    assert data.test_labels.tolist() == KINDS[:6].tolist()


def test_a_folder_is_read_in_order_with_its_subfolders_as_classes(tmp_path):
    for i, image in enumerate(LEVELS[:12]):
        file = tmp_path / "pics" / "ab"[i % 2] / "deep" / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    data = load(str(tmp_path / "pics"))
    assert data.event == (1, 32, 32)
    assert data.classes == ("a", "b")
    x, kind = read_array(str(tmp_path / "pics"))
    assert kind == "images"
    assert np.array_equal(x, np.concatenate([LEVELS[:12:2], LEVELS[1:12:2]]))
    assert np.array_equal(pool(data), ordered(x))
    Image.fromarray(LEVELS[0]).save(tmp_path / "pics" / "loose.png")
    assert load(str(tmp_path / "pics")).classes is None


def test_pictures_of_many_kinds_and_sizes_share_one_shape(tmp_path):
    noise = RNG.integers(0, 256, (12, 60, 50, 3), dtype=np.uint8)
    for i, image in enumerate(noise):
        picture = Image.fromarray(image[: 40 + i])
        mode = ("RGB", "L", "P", "RGBA", "LA", "CMYK", "1")[i % 7]
        suffix = "tif" if mode == "CMYK" else "png"
        picture.convert(mode).save(tmp_path / f"{i:02}.{suffix}")
    data = load(str(tmp_path))
    assert data.event == (3, 32, 32)
    assert load(str(tmp_path), side=16, channels=1).event == (1, 16, 16)
    assert load(str(tmp_path), channels=4).event == (4, 32, 32)
    assert len(load(str(tmp_path), limit=11).train) == 10


def test_colour_files_with_grey_contents_are_grey(tmp_path):
    for i, image in enumerate(LEVELS[:12]):
        Image.fromarray(np.repeat(image[..., None], 3, -1)).save(tmp_path / f"{i:02}.png")
    assert load(str(tmp_path)).event == (1, 32, 32)
    assert load(str(tmp_path), channels=3).event == (3, 32, 32)


def test_transparent_pixels_turn_black(tmp_path):
    for i in range(12):
        rgba = RNG.integers(0, 256, (8, 8, 4), dtype=np.uint8)
        rgba[..., 3] = 255
        rgba[:4, :, 3] = 0
        Image.fromarray(rgba).save(tmp_path / f"{i:02}.png")
    x, _ = read_array(str(tmp_path))
    assert not x[:, :4].any()
    assert x[:, 4:].any()


def test_pictures_are_turned_as_their_tag_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise for display
    for i, image in enumerate(LEVELS[:12]):
        Image.fromarray(image).save(tmp_path / f"{i:02}.png", exif=exif)
    x, _ = read_array(str(tmp_path))
    assert np.array_equal(x, np.rot90(LEVELS[:12], -1, axes=(1, 2)))


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    for i, image in enumerate(LEVELS[:12]):
        Image.fromarray(image.astype(np.uint16) * 256 + 7).save(tmp_path / f"{i:02}.png")
    assert np.array_equal(read_array(str(tmp_path))[0], LEVELS[:12])


def test_what_decode_returns_reads_back_as_the_same_images(tmp_path):
    data = load("digits", side=8)
    np.savez(tmp_path / "x.npz", x=data.decode(data.test))
    x, kind = read_array(str(tmp_path / "x.npz"))
    assert kind == "images"
    assert np.array_equal(x, data.decode(data.test))
