"""Images of unlike storage are compared for what they show: levels of 16 bits, tensors from 0 to 255, sides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward import evaluate
from pushforward.data import as_pair, read_pair
from pushforward.errors import DataError, UsageError

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 256, (24, 8, 8), dtype=np.uint8)
LEVELS[0, 0, 0] = 255


def folder(path: Path, images: np.ndarray) -> str:
    path.mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image).save(path / f"{k:02}.png")
    return str(path)


def test_levels_of_16_bits_have_one_scale_in_all_sets(tmp_path):
    deep = LEVELS.astype(np.uint16) << 8
    dark = deep // 16  # a set whose brightest level fills 12 bits on the same scale
    both = read_pair(folder(tmp_path / "q", dark), folder(tmp_path / "p", deep))
    plain = as_pair(LEVELS // 16, LEVELS)
    assert torch.equal(both.real, plain.real)
    assert torch.equal(both.fake, plain.fake)
    assert "fake: levels of 16 bits are read as 16 bits, as another set fills these" in both.notes
    same = read_pair(folder(tmp_path / "r", LEVELS), str(tmp_path / "p"))
    assert torch.equal(same.fake, same.real)


def test_colours_of_16_bits_are_cut_to_eight_and_said(tmp_path):
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colours = RNG.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    for name in ("q", "p"):
        (tmp_path / name).mkdir()
        for k, image in enumerate(colours):
            rows = b"".join(b"\0" + (row.astype(">u2") * 257).astype(">u2").tobytes() for row in image)
            head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
            parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
            (tmp_path / name / f"{k}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    pair = read_pair(str(tmp_path / "q"), str(tmp_path / "p"))
    assert torch.equal(pair.real, as_pair(colours, colours).real)
    assert "real: 3 of 3 pictures have 16 bits a channel: the upper eight are kept" in pair.notes


def test_levels_of_32_bits_are_refused(tmp_path):
    (tmp_path / "q").mkdir()
    for k in range(3):
        Image.fromarray(LEVELS[k].astype(np.int32) * 1000).save(tmp_path / "q" / f"{k}.tif")
    with pytest.raises(DataError, match=r"0\.tif: levels from .* are none of 16 bits"):
        read_pair(str(tmp_path / "q"), folder(tmp_path / "p", LEVELS))


@pytest.mark.parametrize("other", ["uint8", "float", "int"])
def test_tensors_from_0_to_255_are_levels_whatever_their_type(other):
    x = torch.from_numpy(LEVELS)[:, None]
    expected = as_pair(x, x)
    real = {"uint8": x, "float": x.float(), "int": x.long()}[other]
    pair = as_pair(x.double(), real)
    torch.testing.assert_close(pair.fake.float(), expected.fake)
    torch.testing.assert_close(pair.real.float(), expected.real)
    assert any("read as 0..255 and brought to -1..1" in note for note in pair.notes)
    overshot = as_pair(x.float() * 1.02 - 2, x.float())
    assert overshot.fake.max() <= 1.05


def test_features_see_the_same_images_in_either_scale():
    x = torch.from_numpy(LEVELS).float()[:, None]
    y = x.flip(0).roll(1, 2)
    ours = evaluate(y / 127.5 - 1, x / 127.5 - 1, features="digits8", metrics="fd").as_dict()["metrics"]
    levels = evaluate(y, x, features="digits8", metrics="fd").as_dict()["metrics"]
    assert next(iter(levels.values()))["value"] == pytest.approx(next(iter(ours.values()))["value"], rel=1e-4)


@pytest.mark.parametrize("side", [0, -1, 3, 2.5, 16.0, "16", True, 8192])
def test_a_side_that_is_none_is_refused_in_one_line(side):
    with pytest.raises(UsageError, match=r"give a whole number of pixels from 4 to 4096"):
        as_pair(LEVELS, LEVELS, side=side)


def test_a_side_of_tensors_and_of_points_says_what_to_do():
    images, points = torch.rand(9, 1, 8, 8), torch.rand(9, 3)
    with pytest.raises(UsageError, match=r"tensors are not resized.*resize them, or pass arrays"):
        as_pair(images, images, side=16)
    assert as_pair(images.numpy(), images.numpy(), side=16).fake.shape == (9, 1, 16, 16)
    with pytest.raises(UsageError, match="these tensors hold points, not images: leave out the side"):
        as_pair(points, points, side=16)
