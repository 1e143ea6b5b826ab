"""Sets of images as they come, and how two of them are brought to one form: side, channels, levels."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pushforward.data.blocks.limits import budget
from pushforward.data.compare.grid import EIGHT_BITS, Grid, pixel_grid
from pushforward.data.formats.contents import Pictures
from pushforward.data.formats.folders import widened
from pushforward.data.pixels import Pixels, channels_last, convention, levels, squared, with_channels
from pushforward.errors import DataError, UsageError
from pushforward.plain.findings import Finding, Said, of_form
from pushforward.plain.shares import percent

__all__ = ["Album", "alike", "of_array", "of_folder", "of_levels"]

SMALLEST = 4
RATIO = 2.0  # of aspect ratios; sets that differ by more show other things
UNEQUAL = 0.1  # difference between the shares of lossy pictures that gets a warning
DARK = 0.25  # of the other set's brightest level; below it the scale of a set is in doubt


@dataclass(frozen=True, eq=False)
class Album:
    """One set of images before it is brought to the form of another.

    Attributes:
        place: The file or folder, for messages.
        n: Number of images.
        sizes: Number of images of each (width, height), in pixels.
        read: Side -> central squares as levels from 0 to 255, (n, side, side, 1 or 3), uint8 or float32.
        lossy: Names of lossy formats -> number of images that came in them.
        notes: What was found: type and range, transparency.
        greys: Number of files without colours, where each holds one image.
        bits: Bits that the levels of its pictures of 16 bits fill, or 0 where it has none.
        deep: Side and bits -> the same as `read`, with these levels read as so many bits.
    """

    place: str
    n: int
    sizes: Mapping[tuple[int, int], int]
    read: Callable[[int], np.ndarray]
    lossy: Mapping[str, int]
    notes: tuple[str, ...]
    greys: int = 0
    bits: int = 0
    deep: Callable[[int, int], np.ndarray] | None = None

    @property
    def side(self) -> int:
        """The shortest side of all images."""
        return min(map(min, self.sizes))

    @property
    def shape(self) -> str:
        """What the set holds, in words."""
        return f"images of {self.span}"

    @property
    def span(self) -> str:
        """Sizes in words, smallest to largest."""
        first, last = (_size(pick(self.sizes, key=lambda size: size[0] * size[1])) for pick in (min, max))
        return first if first == last else f"{first} to {last}"

    @property
    def ratio(self) -> float:
        """Width over height, the median."""
        return statistics.median(w / h for (w, h), count in self.sizes.items() for _ in range(count))


def of_folder(pictures: Pictures, said: tuple[str, ...] = ()) -> Album:
    """The pictures below a folder.

    Args:
        pictures: The files.
        said: What was said of the folder.

    Raises:
        DataError: If one of them is damaged or too large; its file is named.
    """
    from pushforward.data.formats.pictures import depth, header, picture, remarks

    files = pictures.files
    heads = [header(file) for file in files]
    deep = [file for file, head in zip(files, heads, strict=True) if head.deep]
    bits, said_of_deep = depth(deep)

    def read(side: int, bits: int = bits) -> np.ndarray:
        x = np.empty((len(files), side, side, 3), np.uint8)
        for i, file in enumerate(files):
            x[i] = picture(file, side, 3, bits)
        return x[..., :1] if all((image == image[..., :1]).all() for image in x) else x

    forms = ", ".join(f"{count:,} {form}" for form, count in Counter(head.form for head in heads).most_common())
    notes = [*said, f"{forms}, 8 bits a channel"]
    notes += [*remarks(files, heads), *said_of_deep]
    lossy = Counter(head.form for head in heads if head.lossy)
    sizes, greys = Counter(head.size for head in heads), sum(head.grey for head in heads)
    filled = bits if deep else 0
    return Album(str(pictures.path), len(files), sizes, read, lossy, tuple(notes), greys, filled, read)


def of_array(x: np.ndarray, place: str) -> Album:
    """Images from an array (n, h, w), (n, h, w, c) or (n, c, h, w) of finite numbers.

    Raises:
        DataError: If the layout or the range is ambiguous.
    """
    planes = channels_last(x, place)
    found = convention(planes, place, slack=True)
    return of_levels(levels(planes, found), place, (found.words,))


def of_levels(x: np.ndarray, place: str, notes: tuple[str, ...] = ()) -> Album:
    """Images from levels 0 to 255, (n, h, w, c), uint8 or float32."""
    if x.shape[-1] == 4:
        opaque = bool((x[..., 3] >= 254.5).all())
        notes = (*notes, f"alpha channel {'opaque everywhere, left out' if opaque else 'laid on black'}")
        x = x[..., :3] if opaque else with_channels(x, 3)
    return Album(place, len(x), {(x.shape[2], x.shape[1]): len(x)}, lambda side: squared(x, side), {}, notes)


def alike(
    albums: Mapping[str, Album], side: int | None = None, *, rounded: bool = True
) -> tuple[dict[str, Tensor], list[Said]]:
    """Bring sets of images to the side of the real one, to the same channels and to the same levels.

    Args:
        albums: "fake", "real" and, if there is one, "train".
        side: Side to compare at, in pixels; the shortest side of real where it is left out.
        rounded: Round to the levels of real where these are discrete.

    Returns:
        Images by role, (n, 1 or 3, side, side) float32 in [-1, 1], and what was done and found.

    Raises:
        DataError: If the images are too small, too many for the memory, or differ wildly in aspect ratio.
        UsageError: If `side` is out of range.
    """
    real = albums["real"]
    square = real.side if side is None else side
    _check(albums, square, side)
    notes: list[Said] = [f"{role}: {note}" for role, album in albums.items() for note in album.notes]
    notes += [*_fitted(albums, square), *_compression(albums)]
    bits = max(album.bits for album in albums.values())
    x = dict[str, np.ndarray]()
    for role, album in albums.items():
        if album.deep is not None and 0 < album.bits < bits:
            notes.append(f"{role}: levels of 16 bits are read as {bits} bits, as another set fills these")
            x[role] = album.deep(square, bits)
        else:
            x[role] = album.read(square)
    channels = max(part.shape[-1] for part in x.values())
    for role, part in x.items():
        if part.shape[-1] == 3:
            notes += [f"{role}: {note}" for note in widened(albums[role].greys, albums[role].n)]
    coloured = " and ".join(role for role, part in x.items() if part.shape[-1] == 3)
    for role, part in x.items():
        if part.shape[-1] < channels:
            notes.append(f"{role}: grey, repeated in three channels because {coloured} is in colour")
            x[role] = with_channels(part, channels)
    notes += _brightness(x)
    if rounded:
        notes += _rounded(x)
    return {role: Pixels(square, square, channels).encode(part) for role, part in x.items()}, notes


def _check(albums: Mapping[str, Album], square: int, side: int | None) -> None:
    real = albums["real"]
    if side is not None and (not isinstance(side, int) or isinstance(side, bool)):
        raise UsageError(f"side {side!r}: give a whole number of pixels from {SMALLEST} to 4096")
    if side is not None and not SMALLEST <= side <= 4096:
        raise UsageError(f"side {side}: give a whole number of pixels from {SMALLEST} to 4096")
    for album in albums.values():
        if album.side < SMALLEST:
            raise DataError(
                f"{album.place}: images with a side of {album.side} pixels are too small: at least 4 are needed"
            )
        if not 1 / RATIO <= album.ratio / real.ratio <= RATIO:
            raise DataError(
                f"{album.place} holds images of {album.span} (width x height), {real.place} of {real.span}; shapes "
                "this unlike show different things: crop or pad both to one aspect ratio"
            )
    n = sum(album.n for album in albums.values())
    need = n * square**2 * 3 * 5
    if need > budget():
        raise DataError(
            f"{real.place}: {n:,} images of side {square} need {need / 2**30:.1f} GiB of memory, "
            f"{budget() / 2**30:.1f} GiB are allowed: compare fewer, or at a smaller side"
        )


def _fitted(albums: Mapping[str, Album], square: int) -> list[Said]:
    """What is done to the sizes, in words."""
    notes, resized = list[Said](), list[str]()
    for role, album in albums.items():
        steps = ["cut to the central square"] if any(w != h for w, h in album.sizes) else []
        if {min(size) for size in album.sizes} != {square}:
            resized.append(role)
            steps.append(f"resized with antialiasing to {square} x {square}")
        if steps:
            notes.append(f"{role}: images of {album.span}, {' and '.join(steps)}")
    if ("fake" in resized) != ("real" in resized):
        least = min(albums["fake"].side, albums["real"].side)
        remedy = f"; --side {least} (side={least} in Python) compares at the smaller size" if least < square else ""
        notes.append(of_form(f"only {resized[0]} was resized, and resampling alone can tell the sets apart{remedy}"))
    return notes


def _compression(albums: Mapping[str, Album]) -> list[Said]:
    fake, real = albums["fake"], albums["real"]
    notes = list[Said]()
    for form in sorted({*fake.lossy, *real.lossy}):
        q, p = (album.lossy.get(form, 0) / album.n for album in (fake, real))
        if min(q, p) == 0 or abs(q - p) > UNEQUAL:
            shares = f"{form} in {percent(q)} of fake and {percent(p)} of real"
            notes.append(of_form(f"{shares}: {form} artefacts alone tell the sets apart; compare lossless pictures"))
        else:
            notes.append(f"both sets hold {form}: unequal quality settings alone can tell them apart")
    return notes


def _brightness(x: Mapping[str, np.ndarray]) -> list[Finding]:
    """A finding where one set uses so little of the scale that its white may be another number."""
    q, p = float(x["fake"].max()), float(x["real"].max())
    if min(q, p) >= DARK * max(q, p):
        return []
    dark, bright = ("fake", "real") if q < p else ("real", "fake")
    levels_seen = f"the brightest level of {dark} is {min(q, p):.3g} of 255, that of {bright} {max(q, p):.3g}"
    return [of_form(f"{levels_seen}: if {dark} was stored on a smaller scale, bring it to 0..255 first")]


def _rounded(x: dict[str, np.ndarray]) -> list[str]:
    """Bring levels to the grid of real, in place of what was there."""
    found, notes = pixel_grid(x["real"]), []
    if found is None:
        if pixel_grid(x["fake"]) is not EIGHT_BITS:
            return []
        found = EIGHT_BITS
        x["real"] = found.to_grid(x["real"])
        notes.append("real: rounded to 256 levels, which is what fake holds")
    for role, before in x.items():
        x[role] = after = _onto(before, found)
        moved = float(found.moved(before, after).mean()) if role == "fake" and after is not before else 0
        if moved:
            notes.append(
                f"pixels: rounded to {found.words} (real holds only these); {percent(moved)} of fake values moved"
            )
    return notes


def _onto(x: np.ndarray, found: Grid) -> np.ndarray:
    if x.dtype != np.uint8:
        return found.to_grid(x)
    return x if found.levels is None else found.to_grid(np.arange(256, dtype=np.float32))[x]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
