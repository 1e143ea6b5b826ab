"""Every bad input ends in one line that names the file, the place and the remedy, before anything is learned."""

import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward.data.source import load
from pushforward.errors import DataError, UsageError


@dataclass(frozen=True)
class Case:
    """A bad input: how to make it, and what must be said about it.

    Attributes:
        name: What is wrong.
        build: Writes files below a folder and returns command line arguments, '--data', SPEC, ...
        exit_code: 3 for bad data, 2 for bad usage.
        fragments: Regular expressions for the file, the place and the remedy.
    """

    name: str
    build: Callable[[Path], list[str]]
    exit_code: int
    fragments: tuple[str, ...]


CASES: list[Case] = []


def case(*fragments: str, exit_code: int = 3):
    def add(build: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
        CASES.append(Case(build.__name__, build, exit_code, fragments))
        return build

    return add


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def levels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def npy(path: Path, x: np.ndarray, *more: str, allow_pickle: bool = False) -> list[str]:
    np.save(path / "x.npy", x, allow_pickle=allow_pickle)
    return ["--data", str(path / "x.npy"), *more]


def npz(path: Path, key: str = "", *more: str, **arrays: np.ndarray) -> list[str]:
    np.savez(path / "x.npz", **arrays)
    return ["--data", f"{path / 'x.npz'}{key}", *more]


def text(path: Path, content: str, *more: str, key: str = "") -> list[str]:
    (path / "t.csv").write_text(content)
    return ["--data", f"{path / 't.csv'}{key}", *more]


def blob(path: Path, name: str, content: bytes, *more: str) -> list[str]:
    (path / name).write_bytes(content)
    return ["--data", str(path / name), *more]


def pictures(path: Path, n: int = 12) -> Path:
    folder = path / "pictures"
    folder.mkdir()
    for i, image in enumerate(levels(n, 8, 8, 3)):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    return folder


def png(image: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form)
    return stream.getvalue()


ROWS = "".join(f"{i},{i * i % 7},{i % 3}\n" for i in range(12))
HEADER = "a,b,c\n"


# Names and paths.


@case("no data given", "toy:NAME", exit_code=2)
def empty_spec(path: Path) -> list[str]:
    return ["--data", ""]


@case("no toy named 'rnig8'", "did you mean toy:ring8", exit_code=2)
def unknown_toy(path: Path) -> list[str]:
    return ["--data", "toy:rnig8"]


@case("no toy named ''", "the toys are ring8", exit_code=2)
def nameless_toy(path: Path) -> list[str]:
    return ["--data", "toy:"]


@case("digitz: no such file", "did you mean digits")
def misspelt_name(path: Path) -> list[str]:
    return ["--data", "digitz"]


@case(r"absent\.npz: no such file", "check the path")
def missing_file(path: Path) -> list[str]:
    return ["--data", str(path / "absent.npz")]


@case(r"absent\.npz: no such file", "check the path")
def missing_file_with_a_key(path: Path) -> list[str]:
    return ["--data", f"{path / 'absent.npz'}:x"]


@case("name after the colon", exit_code=2)
def empty_key(path: Path) -> list[str]:
    return [*npz(path, x=normal(20, 2))[:1], f"{path / 'x.npz'}:"]


@case(r"x\.docx", "'.docx'", r"\.npz, \.npy, \.csv")
def unknown_extension(path: Path) -> list[str]:
    return blob(path, "x.docx", b"words")


@case("noname: files without an ending", "are not known")
def no_extension(path: Path) -> list[str]:
    return blob(path, "noname", b"words")


@case(r"folder\.npz", "this is a folder", "check the path")
def folder_named_like_a_file(path: Path) -> list[str]:
    (path / "folder.npz").mkdir()
    return ["--data", str(path / "folder.npz")]


@case(r"x\.npz: the file is empty", "0 bytes", "again")
def empty_npz(path: Path) -> list[str]:
    return blob(path, "x.npz", b"")


@case(r"t\.csv: the file is empty", "0 bytes", "again")
def empty_csv(path: Path) -> list[str]:
    return blob(path, "t.csv", b"")


@case(r"one\.png: one image", "give the folder")
def single_image(path: Path) -> list[str]:
    return blob(path, "one.png", png(levels(8, 8, 3)))


# Arrays.


@case(r"x\.npy: 1 row", "at least 10", "add rows")
def one_row(path: Path) -> list[str]:
    return npy(path, normal(1, 2))


@case(r"x\.npy: 9 rows", "at least 10", "add rows")
def too_few_rows(path: Path) -> list[str]:
    return npy(path, normal(9, 2))


@case(r"x\.npy: the shape \(0, 2\) holds no numbers", "add rows")
def zero_rows(path: Path) -> list[str]:
    return npy(path, normal(0, 2))


@case(r"x\.npy: the shape \(20, 0\) holds no numbers")
def zero_columns(path: Path) -> list[str]:
    return npy(path, normal(20, 0))


@case(r"x\.npy: 0 dimensions", "points have", "reshape")
def scalar(path: Path) -> list[str]:
    return npy(path, np.array(3.0))


@case(r"x\.npy: 5 dimensions", "points have", "reshape")
def five_dimensions(path: Path) -> list[str]:
    return npy(path, normal(20, 2, 2, 2, 2))


@case(r"x\.npy: index \(7, 1\) is nan", "1 of 40 values", "remove these rows or fill")
def nan_in_array(path: Path) -> list[str]:
    x = normal(20, 2)
    x[7, 1] = np.nan
    return npy(path, x)


@case(r"x\.npz:x: index \(3, 0\) is -inf", "remove these rows or fill")
def infinity_in_array(path: Path) -> list[str]:
    x = normal(20, 2)
    x[3, 0] = -np.inf
    return npz(path, x=x)


@case(r"x\.npz:x_test: index \(4, 1\) is nan", "remove these rows or fill")
def nan_in_the_test_set(path: Path) -> list[str]:
    x = normal(20, 2)
    x[4, 1] = np.nan
    return npz(path, ":x_train", x_train=normal(20, 2), x_test=x)


@case(r"x\.npy: nothing varies", "check the file")
def constant_array(path: Path) -> list[str]:
    return npy(path, np.ones((20, 2)))


@case(r"x\.npy: column '1' is constant", "leave it out")
def constant_column(path: Path) -> list[str]:
    return npy(path, np.stack([normal(20), np.full(20, 0.1)], axis=1))


@case(r"x\.npy: column '0' .*too large", "rescale")
def overflowing_values(path: Path) -> list[str]:
    return npy(path, normal(20, 2) * 1e200)


@case(r"x\.npz:x_train: some test rows lie too far", "outliers")
def outlier_in_the_test_set(path: Path) -> list[str]:
    return npz(path, ":x_train", x_train=normal(20, 2), x_test=normal(20, 2) * 1e200)


@case(r"x\.npy: the array's header is damaged", "numpy.save")
def unterminated_header(path: Path) -> list[str]:
    npy(path, normal(20, 2))
    content = (path / "x.npy").read_bytes()
    return blob(path, "x.npy", content.replace(b"'shape': (20, 2), }", b"'sh" + b" " * 16))


@case(r"x\.npy", "Python objects", "plain numbers")
def objects_npy(path: Path) -> list[str]:
    return npy(path, np.array([{}, 1] * 10, dtype=object), allow_pickle=True)


@case(r"x\.npz:x", "Python objects", "plain numbers")
def objects_npz(path: Path) -> list[str]:
    return npz(path, x=np.array([[1], [1, 2]] * 10, dtype=object))


@case(r"x\.npy", "a pickle", "never loaded", "numpy.save")
def pickle_npy(path: Path) -> list[str]:
    import pickle

    return blob(path, "x.npy", pickle.dumps(normal(20, 2)))


@case(r"x\.npy", "text", "plain numbers")
def strings(path: Path) -> list[str]:
    return npy(path, np.array(["a", "b"] * 10))


@case(r"x\.npy", "complex numbers", "plain numbers")
def complex_numbers(path: Path) -> list[str]:
    return npy(path, normal(20, 2) + 1j)


@case(r"x\.npy", "records", "plain numbers")
def records(path: Path) -> list[str]:
    return npy(path, np.zeros(20, [("a", "f4"), ("b", "f4")]))


@case(r"x\.npy", "dates", "plain numbers")
def dates(path: Path) -> list[str]:
    return npy(path, np.arange(20).astype("datetime64[D]"))


@case(r"x\.npz: not a readable \.npz", "numpy.savez")
def corrupted_zip(path: Path) -> list[str]:
    npz(path, x=normal(20, 2))
    return blob(path, "x.npz", (path / "x.npz").read_bytes()[:200])


@case(r"x\.npz:x: the archive is damaged", "numpy.savez")
def flipped_bytes_in_zip(path: Path) -> list[str]:
    npz(path, x=normal(20, 2))
    content = bytearray((path / "x.npz").read_bytes())
    content[250:260] = b"0123456789"
    return blob(path, "x.npz", bytes(content))


@case(r"x\.npz: the archive holds no arrays", "numpy.savez")
def zip_without_arrays(path: Path) -> list[str]:
    with zipfile.ZipFile(path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "words")
    return ["--data", str(path / "x.npz")]


@case(r"x\.npy: truncated", r"shape \(20, 2\)", "320 bytes", "again")
def truncated_npy(path: Path) -> list[str]:
    npy(path, normal(20, 2))
    return blob(path, "x.npy", (path / "x.npy").read_bytes()[:-40])


@case(r"x\.npy", "header is damaged|not a NumPy array|not supported", "numpy.save")
def damaged_header(path: Path) -> list[str]:
    npy(path, normal(20, 2))
    return blob(path, "x.npy", (path / "x.npy").read_bytes().replace(b"'shape'", b"'shipe'"))


@case(r"x\.npy", "not a NumPy array", "numpy.save")
def words_named_npy(path: Path) -> list[str]:
    return blob(path, "x.npy", b"these are words, not numbers")


@case(r"x\.npy: truncated", r"shape \(1000000000000,\)", "again")
def declared_shape_beyond_the_file(path: Path) -> list[str]:
    npy(path, normal(20))
    content = (path / "x.npy").read_bytes()
    return blob(path, "x.npy", content.replace(b"(20,), }" + b" " * 11, b"(1000000000000,), }"))


@case(r"x\.npz: 2 arrays \(a \(20, 2\), b \(30, 3\)\)", r"x\.npz:a")
def several_arrays(path: Path) -> list[str]:
    return npz(path, a=normal(20, 2), b=normal(30, 3))


@case(r"x\.npz: no array named 'x_trian'", r"did you mean .*x\.npz:x_train")
def absent_key(path: Path) -> list[str]:
    return npz(path, ":x_trian", x_train=normal(20, 2), y_train=np.arange(20) % 2)


@case(r"x\.npy", "nothing to choose", "leave out ':a'")
def key_for_npy(path: Path) -> list[str]:
    npy(path, normal(20, 2))
    return ["--data", f"{path / 'x.npy'}:a"]


@case(r"x\.npz:x_test: rows of shape \(3,\)", "save both alike")
def held_out_set_of_another_shape(path: Path) -> list[str]:
    return npz(path, ":x_train", x_train=normal(20, 2), x_test=normal(20, 3))


# Splits and limits.


@case(r"x\.npy: a test fraction of 0.9 leaves 2 of 20 rows", "smaller test fraction")
def too_few_rows_to_train_on(path: Path) -> list[str]:
    return npy(path, normal(20, 2), "--test-fraction", "0.9")


@case("test fraction 1.5", "between 0 and 1", exit_code=2)
def fraction_out_of_range(path: Path) -> list[str]:
    return npy(path, normal(20, 2), "--test-fraction", "1.5")


@case("limit 3", "at least 10", exit_code=2)
def limit_too_small(path: Path) -> list[str]:
    return npy(path, normal(20, 2), "--limit", "3")


# Labels.


@case(r"x\.npz:x: 19 labels for 20 rows", "one label a row")
def labels_of_another_length(path: Path) -> list[str]:
    return npz(path, ":x", "--labels", "kind", x=normal(20, 2), kind=np.arange(19) % 2)


@case(r"x\.npz:x_train: 19 labels for 20 rows", "one label a row")
def conventional_labels_of_another_length(path: Path) -> list[str]:
    return npz(path, ":x_train", x_train=normal(20, 2), y_train=np.arange(19) % 2)


@case(r"x\.npz:x: the label of row 0 is 0.5", "whole numbers")
def fractional_labels(path: Path) -> list[str]:
    return npz(path, ":x", "--labels", "kind", x=normal(20, 2), kind=np.arange(20) % 2 + 0.5)


@case(r"x\.npz:x: the label of row 4 is nan", "whole numbers")
def nan_labels(path: Path) -> list[str]:
    kind = np.zeros(20)
    kind[4] = np.nan
    return npz(path, ":x", "--labels", "kind", x=normal(20, 2), kind=kind)


@case(r"x\.npz:x: labels of shape \(20, 3\)", "argmax")
def one_hot_labels(path: Path) -> list[str]:
    return npz(path, ":x", "--labels", "kind", x=normal(20, 2), kind=np.eye(20, 3))


@case("20 different labels in 20 rows", "choose a column of classes")
def names_as_labels(path: Path) -> list[str]:
    return npz(path, ":x", "--labels", "kind", x=normal(20, 2), kind=np.arange(20))


@case(r"x\.npz: no array named 'kinds'", r"did you mean .*:kind\?")
def absent_labels(path: Path) -> list[str]:
    return npz(path, ":x", "--labels", "kinds", x=normal(20, 2), kind=np.arange(20) % 2)


@case("the test set has the label 5", "no training row has")
def label_in_the_test_set_only(path: Path) -> list[str]:
    arrays = {"x_train": normal(20, 2), "y_train": np.arange(20) % 2, "x_test": normal(9, 2), "y_test": np.full(9, 5)}
    return npz(path, ":x_train", **arrays)


@case("labels 'absent.npy': no such file", r"PATH\[:key\]")
def absent_file_of_labels(path: Path) -> list[str]:
    return npy(path, normal(20, 2), "--labels", "absent.npy")


@case("brings its own labels", exit_code=2)
def labels_for_digits(path: Path) -> list[str]:
    return ["--data", "digits", "--labels", "kind"]


# Tables.


@case(r"t\.csv: line 4 has 2 cells, line 1 has 3", "equally many")
def ragged_csv(path: Path) -> list[str]:
    return text(path, HEADER + "1,2,3\n4,5,6\n7,8\n" + ROWS)


@case(r"t\.csv: line 3, column 'b': 'n/a' is not a number", "correct it", r"t\.csv:a,c")
def word_in_a_cell(path: Path) -> list[str]:
    return text(path, HEADER + "1,2,3\n4,n/a,6\n" + ROWS)


@case(r"t\.csv: line 3, column 'b': the cell is empty", "correct it")
def empty_cell(path: Path) -> list[str]:
    return text(path, HEADER + "1,2,3\n4,,6\n" + ROWS)


@case(r"t\.csv: line 2, column 'a': '1,5' is not a number", "decimals take a point")
def decimal_comma(path: Path) -> list[str]:
    return text(path, "a;b\n1,5;2\n" + "".join(f"{i}.5;{i % 4}\n" for i in range(12)))


@case(r"t\.csv: line 3, column 'b' is nan", "remove these rows or fill")
def nan_in_csv(path: Path) -> list[str]:
    return text(path, HEADER + "1,2,3\n4,nan,6\n" + ROWS)


@case(r"t\.csv: columns 'name', 'town' hold text", r"t\.csv:a$")
def text_columns(path: Path) -> list[str]:
    return text(path, "name,a,town\n" + "".join(f"p{i},{i},t{i}\n" for i in range(12)))


@case(r"t\.csv: column 'name' holds text", "encode them as numbers")
def nothing_but_text(path: Path) -> list[str]:
    return text(path, "name\n" + "".join(f"p{i}\n" for i in range(12)))


@case(r"t\.csv: there are names in line 1 but no rows", "add lines")
def header_only(path: Path) -> list[str]:
    return text(path, HEADER)


@case(r"t\.csv: the file holds no rows", "at least one line")
def blank_lines_only(path: Path) -> list[str]:
    return text(path, "\n\n\n")


@case(r"t\.csv: 3 rows", "at least 10")
def short_csv(path: Path) -> list[str]:
    return text(path, HEADER + "1,2,3\n4,5,6\n7,8,9\n")


@case(r"t\.csv: no column named 'height'", "did you mean 'heights'")
def absent_column(path: Path) -> list[str]:
    return text(path, "heights,b,c\n" + ROWS, key=":height,b")


@case(r"t\.csv: a column is named twice", "once")
def repeated_choice(path: Path) -> list[str]:
    return text(path, HEADER + ROWS, key=":a,a")


@case(r"t\.csv: line 1 names the column 'a' twice", "own name")
def repeated_name(path: Path) -> list[str]:
    return text(path, "a,a,c\n" + ROWS)


@case(r"t\.csv: column 'k' is constant", "leave it out")
def constant_column_in_csv(path: Path) -> list[str]:
    return text(path, "a,k\n" + "".join(f"{i},3\n" for i in range(12)))


@case(r"t\.csv: byte 4 is not UTF-8", "UTF-8")
def csv_in_another_encoding(path: Path) -> list[str]:
    return blob(path, "t.csv", b"a,b\n\xe9\xff,1\n")


@case(r"t\.csv: line 14, column 'kind': the label is empty", "fill it")
def empty_label_in_csv(path: Path) -> list[str]:
    return text(path, "a,b,kind\n" + ROWS + "1,2,\n", "--labels", "kind")


@case(r"t\.parquet: not a readable Parquet file", "write it again")
def corrupted_parquet(path: Path) -> list[str]:
    pytest.importorskip("pyarrow")
    return blob(path, "t.parquet", b"PAR1 these are words PAR1")


@case(r"t\.parquet: row 5, column 'b' is nan", "remove these rows or fill")
def null_in_parquet(path: Path) -> list[str]:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = list(range(20))
    table = pyarrow.table({"a": rows, "b": [None if i == 5 else i for i in rows]})
    parquet.write_table(table, path / "t.parquet")
    return ["--data", str(path / "t.parquet")]


# Arrays of images.


@case(r"x\.npy: numbers from -?[\d.]+ to [\d.]+ fit none", r"\[0, 1\] or \[-1, 1\]")
def standardised_images(path: Path) -> list[str]:
    return npy(path, normal(20, 8, 8))


@case(r"x\.npy: whole numbers from -?\d+ to \d+ are no pixels", "uint8")
def images_beyond_255(path: Path) -> list[str]:
    return npy(path, levels(20, 8, 8).astype(np.int64) * 4)


@case(r"x\.npy: whole numbers 0 and 1", "multiply by 255")
def masks_as_integers(path: Path) -> list[str]:
    return npy(path, levels(20, 8, 8) // 128)


@case(r"x\.npy: the shape \(20, 8, 8, 5\)", "1, 3 or 4 channels")
def five_channels(path: Path) -> list[str]:
    return npy(path, levels(20, 8, 8, 5))


@case(r"x\.npy: nothing varies, all 20 images are the same")
def equal_images(path: Path) -> list[str]:
    return npy(path, np.repeat(levels(1, 8, 8), 20, axis=0))


@case(r"x\.npy: images with a side of 2 pixels", "at least 4")
def tiny_images(path: Path) -> list[str]:
    return npy(path, levels(20, 2, 2))


@case("side 20", "power of two", exit_code=2)
def side_not_a_power_of_two(path: Path) -> list[str]:
    return npy(path, levels(20, 8, 8), "--side", "20")


@case("channels 2", "1 .grey., 3 .RGB.", exit_code=2)
def two_channels(path: Path) -> list[str]:
    return npy(path, levels(20, 8, 8), "--channels", "2")


@case(r"x\.npy: these are points, not images", "leave out the side", exit_code=2)
def side_for_points(path: Path) -> list[str]:
    return npy(path, normal(20, 2), "--side", "16")


@case("toy:ring8: these are points, not images", "leave out the side", exit_code=2)
def side_for_a_toy(path: Path) -> list[str]:
    return ["--data", "toy:ring8", "--side", "16"]


# Folders of images.


@case("pictures: the folder holds no images", "png, jpg")
def folder_without_images(path: Path) -> list[str]:
    (path / "pictures").mkdir()
    (path / "pictures" / "notes.txt").write_text("words")
    return ["--data", str(path / "pictures")]


@case("pictures: 3 images", "at least 10", "add images")
def few_images(path: Path) -> list[str]:
    return ["--data", str(pictures(path, 3))]


@case(r"07\.png: the image is damaged or truncated", "replace it")
def truncated_image(path: Path) -> list[str]:
    folder = pictures(path)
    (folder / "07.png").write_bytes(png(levels(64, 64, 3))[:4000])
    return ["--data", str(folder)]


@case(r"07\.jpg: the image is damaged or truncated", "replace it")
def truncated_jpeg(path: Path) -> list[str]:
    folder = pictures(path)
    (folder / "07.jpg").write_bytes(png(levels(64, 64, 3), "JPEG")[:2000])
    return ["--data", str(folder)]


@case(r"07\.png: the file is not a readable image", "replace it")
def words_named_png(path: Path) -> list[str]:
    folder = pictures(path)
    (folder / "07.png").write_text("these are words")
    return ["--data", str(folder)]


@case(r"07\.png: the file is empty", "replace it")
def empty_image(path: Path) -> list[str]:
    folder = pictures(path)
    (folder / "07.png").write_bytes(b"")
    return ["--data", str(folder)]


def bomb(folder: Path, side: int) -> list[str]:
    """A PNG of 60 bytes whose header declares side x side pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (folder / "07.png").write_bytes(content + struct.pack(">I", 4) + b"IDAT" + bytes(8))
    return ["--data", str(folder)]


@case(r"07\.png: the image declares 10000 x 10000 pixels", "scale it down")
def image_bomb(path: Path) -> list[str]:
    return bomb(pictures(path), 10_000)


@case(r"07\.png: the image declares pixels", "scale it down")
def enormous_image_bomb(path: Path) -> list[str]:
    return bomb(pictures(path), 1_000_000)


@case("pictures: labels 'kind'", "subfolders", exit_code=2)
def labels_for_a_folder(path: Path) -> list[str]:
    return ["--data", str(pictures(path)), "--labels", "kind"]


# IDX files.


def idx(x: np.ndarray) -> bytes:
    return bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


@case("train-images-idx3-ubyte: the first bytes 01020304 are no IDX header", "again")
def idx_with_another_magic(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte", b"\1\2\3\4" + bytes(100))


@case("train-images-idx3-ubyte: truncated", r"shape \(20, 8, 8\) takes 1280 bytes", "again")
def truncated_idx(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte", idx(levels(20, 8, 8))[:-100])


@case("train-images-idx3-ubyte: the header declares the shape", "memory")
def idx_bomb(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte", bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**15, 2**15))


@case(r"train-images-idx3-ubyte\.gz: the gzip file is damaged", "again")
def corrupted_gzip(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte.gz", gzip.compress(idx(levels(20, 8, 8)))[:300])


@case(r"train-images-idx3-ubyte\.gz: the gzip file is damaged", "again")
def gzip_with_a_wrong_checksum(path: Path) -> list[str]:
    content = gzip.compress(idx(levels(20, 8, 8)))
    return blob(path, "train-images-idx3-ubyte.gz", content[:-8] + bytes(4) + content[-4:])


@case("train-images-idx3-ubyte: more than the 1280 bytes", "again")
def idx_with_bytes_to_spare(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte", idx(levels(20, 8, 8)) + b"0")


@case(r"train-images-idx3-ubyte\.gz: the gzip file is damaged", "again")
def words_named_gzip(path: Path) -> list[str]:
    return blob(path, "train-images-idx3-ubyte.gz", b"these are words")


@case("train-labels-idx1-ubyte: 1 dimensions", "idx3")
def labels_instead_of_images(path: Path) -> list[str]:
    return blob(path, "train-labels-idx1-ubyte", idx(levels(20)))


@case("train-images-idx3-ubyte: 19 labels for 20 rows", "one label a row")
def idx_labels_of_another_length(path: Path) -> list[str]:
    blob(path, "train-labels-idx1-ubyte", idx(levels(19) % 3))
    return blob(path, "train-images-idx3-ubyte", idx(levels(20, 8, 8)))


def called(args: list[str]) -> None:
    """Load what command line arguments ask for."""
    given = dict(zip(args[::2], args[1::2], strict=True))
    load(
        given["--data"],
        labels=given.get("--labels"),
        side=int(given["--side"]) if "--side" in given else None,
        channels=int(given["--channels"]) if "--channels" in given else None,
        limit=int(given["--limit"]) if "--limit" in given else None,
        test_fraction=float(given["--test-fraction"]) if "--test-fraction" in given else None,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_in_one_line_that_names_file_place_and_remedy(case, tmp_path):
    args = case.build(tmp_path)
    with pytest.raises((DataError, UsageError)) as caught:
        called(args)
    message = str(caught.value)
    assert caught.value.exit_code == case.exit_code, message
    assert "\n" not in message
    for fragment in case.fragments:
        assert re.search(fragment, message), (fragment, message)


def test_the_list_of_bad_inputs_is_long_and_its_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES) >= 45
