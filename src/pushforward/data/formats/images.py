"""Images from scikit-learn, from folders and from IDX files."""

import gzip
import math
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pushforward.data.assemble import assemble
from pushforward.data.dataset import Dataset
from pushforward.data.pixels import CHANNELS, inner_side, model_side, recognise
from pushforward.data.raw import Raw, brief, budget, chosen, enough
from pushforward.errors import DataError, UsageError

__all__ = ["BROKEN", "SUFFIXES", "digits", "folder", "idx", "idx_array", "is_idx", "listed", "opened", "picture"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_PIXELS = 64_000_000  # of one picture; larger ones are refused by their header
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def digits(
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
) -> Dataset:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 grey, v / 8 - 1 in model units, with labels 0 to 9.

    Args:
        seed: Seed of the split.
        test_fraction: Share to hold out, a third by default.
        side: Side in pixels, a power of two; 8 by default.
        channels: 1 by default.
        limit: Use at most so many, chosen by the seed.

    References:
        Optical recognition of handwritten digits, UCI machine learning repository (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    pixels, numbers = (np.asarray(part) for part in load_digits(return_X_y=True))
    levels = (pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.float32)
    keep = chosen(len(levels), limit, seed)
    raw = Raw("digits", "images", levels[keep], labels=numbers[keep])
    return assemble(
        raw, "digits", seed=seed, test_fraction=test_fraction, side=side, channels=channels, usual_fraction=1 / 3
    )


def folder(
    path: Path, *, side: int | None = None, channels: int | None = None, limit: int | None = None, seed: int = 0
) -> Raw:
    """Read the pictures below a folder, in the order of their names.

    Each is turned as its EXIF tag says, cut to its central square and resized with antialiasing. Of animations the
    first frame is taken; transparent pixels turn black. The pictures are grey if all of them are, by content. If
    every picture lies in a subfolder and there are several, the first level of folders names the classes.

    Args:
        path: The folder.
        side: Side in pixels, a power of two; chosen by the smallest picture when None.
        channels: 1, 3 or 4; grey or RGB by content when None.
        limit: Read at most so many, chosen by the seed.
        seed: Seed of that choice.

    Returns:
        Pixels (n, side, side, c) uint8 and the names of the classes, if any.

    Raises:
        DataError: If there are no pictures, or one of them is damaged or too large; its file is named.
        UsageError: If an option is out of range.
    """
    if channels is not None and channels not in CHANNELS:
        raise UsageError(f"channels {channels}: give 1 (grey), 3 (RGB) or 4 (RGBA)")
    files = listed(path)
    parts = [f.relative_to(path).parts for f in files]
    names = np.array([part[0] for part in parts])
    labelled = all(len(part) > 1 for part in parts) and len(set(names)) > 1
    keep = chosen(len(files), limit, seed)
    files = [files[i] for i in keep]
    enough(len(files), str(path), what="image")
    shorts = [_short_side(f) for f in files]
    square = model_side(min(shorts), side, str(path))
    inner = inner_side(shorts[0], square) if min(shorts) == max(shorts) else square
    need = 8 * len(files) * (channels or 3) * square**2
    if need > budget():
        raise DataError(
            f"{path}: {len(files)} images of side {square} need {need / 2**30:.1f} GiB of memory, "
            f"{budget() / 2**30:.1f} GiB are allowed: give a smaller side or a limit"
        )
    x = np.stack([picture(f, inner, channels or 3) for f in files])
    if channels is None and all((image == image[..., :1]).all() for image in x):
        x = x[..., :1]
    return Raw(str(path), "images", x, labels=names[keep] if labelled else None)


def listed(path: Path) -> list[Path]:
    """The pictures below a folder, in the order of their names.

    Raises:
        DataError: If there are none.
    """
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.name[0] != "." and f.is_file())
    if not files:
        raise DataError(f"{path}: the folder holds no images: put {', '.join(s[1:] for s in SUFFIXES)} files into it")
    return files


def opened(file: Path) -> Image.Image:
    """A picture of which only the header has been read.

    Raises:
        DataError: If the file is no picture, or one that is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file)
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(file)) from error
    except BROKEN as error:
        what = "empty" if file.stat().st_size == 0 else "not a readable image"
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({brief(error)})"
        raise DataError(f"{file}: the file is {what}{why}: remove or replace it") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_too_large(file, f"{image.width} x {image.height} "))
    return image


def _too_large(file: Path, size: str = "") -> str:
    return f"{file}: the image declares {size}pixels, more than {MAX_PIXELS} are not read: scale it down or remove it"


def _short_side(file: Path) -> int:
    with opened(file) as image:
        return min(image.size)


def picture(file: Path, side: int, channels: int) -> np.ndarray:
    """One picture as uint8 (side, side, channels): turned as its tag says, cut to its central square and resized.

    Raises:
        DataError: If the file is damaged or truncated.
    """
    try:
        with opened(file) as image:
            mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
            whole = _eight_bit(ImageOps.exif_transpose(image), mode, file)
    except BROKEN as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: the image is damaged or truncated ({brief(error)}): remove or replace it") from error
    fitted = ImageOps.fit(whole, (side, side), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(side, side, channels)


def _eight_bit(image: Image.Image, mode: str, file: Path) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"{file}: pixels with a fraction have no range: save the image with 8 bits a channel")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        wide = image.mode != "I" or levels.max() > 255  # 16 bits a pixel, which "I" may or may not hold
        image = Image.fromarray((levels >> 8 if wide else levels).clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA" and mode != "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode not in ("1", "L", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert(mode)


def is_idx(path: Path) -> bool:
    """Whether a file's name marks it as IDX, the format of MNIST: train-images-idx3-ubyte, with or without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("ubyte", ".idx", ".idx1", ".idx3", ".idx4"))


def idx(path: Path) -> Raw:
    """Read IDX images, with the labels and the test set that lie beside them under the customary names.

    Args:
        path: A file such as train-images-idx3-ubyte.gz. Its labels are looked for as train-labels-idx1-ubyte, its
            test set as t10k-images-idx3-ubyte, each with or without .gz.

    Raises:
        DataError: If a file is truncated or its header is not that of images.
    """
    x, labels = recognise(_idx_images(path), str(path)), _idx_labels(path)
    held = _beside(path, {"train": "t10k"})
    if held is None:
        return Raw(str(path), "images", x, labels=labels)
    x_test = recognise(_idx_images(held), str(held))
    if x_test.shape[1:] != x.shape[1:]:
        raise DataError(f"{held}: images of shape {x_test.shape[1:]}, those to train on have {x.shape[1:]}: replace it")
    return Raw(str(path), "images", x, labels, x_test, None if labels is None else _idx_labels(held))


def _idx_images(path: Path) -> np.ndarray:
    x = idx_array(path)
    if x.ndim not in (3, 4):
        raise DataError(f"{path}: {x.ndim} dimensions, images have 3: give the file of images (idx3)")
    enough(len(x), str(path), 1)
    return x


def _idx_labels(path: Path) -> np.ndarray | None:
    beside = _beside(path, {"images": "labels", "idx3": "idx1"})
    return None if beside is None else idx_array(beside)


def _beside(path: Path, words: dict[str, str]) -> Path | None:
    name = path.name.removesuffix(".gz")
    for old, new in words.items():
        name = name.replace(old, new)
    found: Sequence[Path] = [path.with_name(n) for n in (name, f"{name}.gz") if path.with_name(n).is_file()]
    return found[0] if found and found[0] != path and name != path.name.removesuffix(".gz") else None


def idx_array(path: Path) -> np.ndarray:
    """Read the array of an IDX file: two zero bytes, type, number of dimensions, big-endian lengths, numbers.

    Raises:
        DataError: If the header is not of that form, or fewer numbers follow than it declares.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not 1 <= head[3] <= 4:
                raise DataError(f"{path}: the first bytes {head.hex()} are no IDX header: download the file again")
            lengths = file.read(4 * head[3])
            if len(lengths) < 4 * head[3]:
                raise DataError(f"{path}: truncated within the header: download the file again")
            shape = struct.unpack(f">{head[3]}I", lengths)
            dtype = np.dtype(IDX_TYPES[head[2]])
            need = math.prod(shape) * dtype.itemsize
            if need > budget():
                raise DataError(
                    f"{path}: the header declares the shape {shape}, {need / 2**30:.1f} GiB, which is "
                    "more than the memory allows: download the file again or save fewer rows"
                )
            data = file.read(need + 1)  # up to the end, where gzip keeps its checksum
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged ({brief(error)}): download it again") from error
    if len(data) > need:
        raise DataError(f"{path}: more than the {need} bytes that shape {shape} takes are there: download it again")
    if len(data) < need:
        raise DataError(
            f"{path}: truncated, shape {shape} takes {need} bytes and {len(data)} are there: download it again"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
