"""Laws of image conventions: every scale comes to the same levels, and what cannot be known is said or refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data import as_pair, read_pair
from pushforward.data.compare.pairs import Pair
from pushforward.data.formats.pictures import header
from pushforward.data.pixels import cell_of, convention, levels
from pushforward.errors import DataError, UsageError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
BYTES[0, 0, 0] = 0
BYTES[0, 0, 1] = 255
UNIT = BYTES / 255
SCALES = {
    "uint8": BYTES,
    "int64": BYTES.astype(np.int64),
    "uint16": BYTES.astype(np.uint16) * 257,
    "0..1": UNIT,
    "0..1 float16": UNIT.astype(np.float16),
    "-1..1": (2 * UNIT - 1).astype(np.float32),
    "0..255 float": BYTES.astype(np.float32),
    "channels first": np.moveaxis(BYTES, -1, 1),
    "opaque alpha": np.concatenate([BYTES, np.full_like(BYTES[..., :1], 255)], -1),
}


def folder(path: Path, images: np.ndarray, ending: str = "png", **options) -> str:
    """Write pictures below a folder; its name."""
    path.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(np.squeeze(image)).save(path / f"{i:03}.{ending}", **options)
    return str(path)


def said(notes: tuple[str, ...], *words: str) -> bool:
    """Whether one of the notes contains all the words."""
    return any(all(word in note for word in words) for note in notes)


def found(pair: Pair) -> tuple[str, ...]:
    """The words of what puts a comparison in doubt."""
    return tuple(one.words for one in pair.findings if one.name == "form" and not one.against)


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_and_layout_is_brought_to_the_same_pixels(name):
    pair = as_pair(SCALES[name], BYTES)
    assert pair.kind == "images"
    assert pair.fake.dtype == torch.float32
    assert torch.equal(pair.fake, pair.real)
    assert torch.equal(pair.real, torch.from_numpy(BYTES).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert not said(pair.notes, "rounded")


def test_the_notes_name_the_type_and_the_range_of_both_sets():
    pair = as_pair(2 * UNIT.astype(np.float32) - 1, BYTES)
    assert "fake: float32 from -1 to 1, read as -1..1" in pair.notes
    assert "real: uint8 from 0 to 255, read as 0..255" in pair.notes


def test_pixels_are_rounded_to_the_nearest_level_and_never_truncated():
    shifted = np.clip(BYTES + RNG.uniform(-0.49, 0.49, BYTES.shape), 0, 255).astype(np.float32)
    pair = as_pair(shifted, BYTES)
    assert torch.equal(pair.fake, pair.real)
    assert said(pair.notes, "pixels: rounded to 256 levels (real holds only these)", "of fake values moved")
    raw = as_pair(shifted, BYTES, rounded=False)
    torch.testing.assert_close(raw.fake[:, :, 1:], torch.from_numpy(shifted).permute(0, 3, 1, 2)[:, :, 1:] / 127.5 - 1)


def test_images_are_rounded_to_the_few_levels_of_real():
    real = (RNG.integers(0, 17, (30, 8, 8)) * (255 / 16)).astype(np.float32)
    pair = as_pair(np.rint(real).astype(np.uint8), real)
    assert torch.equal(pair.fake, pair.real)
    assert not said(pair.notes, "moved")  # half a level is what eight bits cost


def test_continuous_data_are_rounded_where_the_fakes_have_eight_bits():
    pair = as_pair(BYTES, RNG.random(BYTES.shape).astype(np.float32))
    on_grid = (pair.real + 1) * 127.5
    assert (on_grid - on_grid.round()).abs().max() < 1e-4
    assert said(pair.notes, "real: rounded to 256 levels")


def test_a_small_overshoot_is_clamped_and_said_and_a_large_one_refused():
    x = (2 * UNIT - 1) * 1.04
    pair = as_pair(x, BYTES)
    assert pair.fake.abs().max() == 1
    assert said(pair.notes, "fake", "lie outside and are clamped")
    with pytest.raises(DataError, match="fit none of the ranges"):
        as_pair(x * 1.3, BYTES)


def test_a_slightly_negative_set_is_an_overshoot_of_the_unit_range_and_not_grey():
    pair = as_pair(np.where(UNIT < 0.01, -0.04, UNIT), BYTES)
    assert said(pair.notes, "fake", "read as 0..1")
    assert (pair.fake - pair.real).abs().max() < 0.03


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (BYTES.astype(np.int64) * 5, "whole numbers from 0 to 1275"),
        (BYTES.astype(np.uint16) * 16, "whole numbers from 0 to 4080"),
        (BYTES // 128, "0 and 1"),
        (RNG.normal(size=(9, 8, 8)), "fit none of the ranges"),
    ],
    ids=["too large", "12 bits", "mask", "standardised"],
)
def test_ambiguous_scales_are_refused_with_their_range(x, words):
    with pytest.raises(DataError, match=words):
        as_pair(x, BYTES)


def test_sixteen_bits_keep_what_lies_between_the_levels():
    x = RNG.integers(0, 65536, (5, 8, 8), dtype=np.uint16)
    x[0, 0, 0] = 65535
    found = levels(x, convention(x, "x"))
    np.testing.assert_allclose(found, x / 257, atol=1e-4)
    assert (found != np.rint(found)).any()


def test_a_set_that_uses_little_of_the_scale_gets_a_warning():
    pair = as_pair(BYTES // 16 + 1, BYTES)
    assert said(found(pair), "brightest level of fake is 16", "that of real 255")


def test_grey_is_repeated_where_the_other_set_is_in_colour():
    for fake, real, which in ((BYTES[..., 0], BYTES, "fake"), (BYTES, BYTES[..., 0], "real")):
        pair = as_pair(fake, real)
        grey = pair.fake if which == "fake" else pair.real
        assert grey.shape == (12, 3, 16, 16)
        assert (grey == grey[:, :1]).all()
        assert said(pair.notes, f"{which}: grey, repeated in three channels")


def test_transparent_pixels_are_laid_on_black_and_said():
    alpha = np.full_like(BYTES[..., :1], 255)
    alpha[:, :8] = 0
    pair = as_pair(np.concatenate([BYTES, alpha], -1), BYTES)
    assert (pair.fake[:, :, :8] == -1).all()
    assert torch.equal(pair.fake[:, :, 8:], pair.real[:, :, 8:])
    assert "fake: alpha channel laid on black" in pair.notes


def test_the_fakes_are_resized_to_the_side_of_real():
    smooth = np.broadcast_to(np.linspace(0, 255, 32)[:, None], (5, 32, 32)).astype(np.uint8)
    pair = as_pair(smooth, smooth[:, ::2, ::2])
    assert pair.fake.shape == pair.real.shape == (5, 1, 16, 16)
    assert (pair.fake - pair.real).abs().max() < 0.1
    assert said(pair.notes, "fake: images of 32 x 32, resized with antialiasing to 16 x 16")
    assert said(found(pair), "only fake was resized")
    both = as_pair(smooth, smooth[:, ::2, ::2], side=8)
    assert both.fake.shape == both.real.shape == (5, 1, 8, 8)
    assert not found(both)


def test_resizing_is_antialiased():
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    pair = as_pair(np.repeat(checks[None], 3, 0).astype(np.uint8), BYTES)
    assert pair.fake[:, :, 2:-2, 2:-2].abs().max() < 0.05  # grey everywhere but at the border; dropping pixels gives ±1


def test_wide_images_are_cut_to_their_centre_and_unlike_shapes_refused():
    wide = RNG.integers(0, 256, (5, 16, 20), dtype=np.uint8)
    pair = as_pair(wide, wide[:, :, 2:18])
    assert torch.equal(pair.fake, pair.real)
    assert said(pair.notes, "fake: images of 20 x 16, cut to the central square")
    with pytest.raises(DataError, match=r"64 x 16.*16 x 16.*aspect ratio"):
        as_pair(RNG.integers(0, 256, (5, 16, 64), dtype=np.uint8), BYTES)


@pytest.mark.parametrize("side", [2, 9000])
def test_a_side_out_of_range_is_refused(side):
    with pytest.raises(UsageError, match=f"side {side}"):
        as_pair(BYTES, BYTES, side=side)


def test_pictures_of_any_kind_in_two_folders_are_compared(tmp_path):
    real = Path(folder(tmp_path / "real", BYTES))
    Image.fromarray(BYTES[0]).resize((30, 24)).save(real / "large.webp", lossless=True)
    Image.fromarray(BYTES[0, ..., 0]).save(real / "grey.bmp")
    Image.fromarray(BYTES[0]).convert("RGBA").save(real / "alpha.png")
    fake = folder(tmp_path / "fake", BYTES[..., 0])
    pair = read_pair(fake, str(real))
    assert pair.fake.shape == (12, 3, 16, 16)
    assert pair.real.shape == (15, 3, 16, 16)
    assert torch.equal(pair.real[:12], torch.from_numpy(BYTES).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert "real: 13 PNG, 1 BMP, 1 WEBP, 8 bits a channel" in pair.notes
    assert said(pair.notes, "real: 1 of 15 pictures have an alpha channel")
    assert said(pair.notes, "real: images of 16 x 16 to 30 x 24, cut to the central square and resized")
    assert not said(pair.notes, "artefacts")


@pytest.mark.parametrize("box", [slice(0, 16), slice(3, 13)], ids=["square", "wide"])
def test_a_folder_and_an_array_of_the_same_pixels_are_equal(box, tmp_path):
    np.savez(tmp_path / "x.npz", x=BYTES[:, box])
    pair = read_pair(folder(tmp_path / "fake", BYTES[:, box]), str(tmp_path / "x.npz"))
    assert torch.equal(pair.fake, pair.real)


def test_lossy_pictures_on_one_side_get_a_warning_and_on_both_a_note(tmp_path):
    png, jpeg = folder(tmp_path / "png", BYTES), folder(tmp_path / "jpeg", BYTES, "jpg")
    webp, exact = folder(tmp_path / "webp", BYTES, "webp"), folder(tmp_path / "exact", BYTES, "webp", lossless=True)
    lone = "JPEG artefacts alone tell the sets apart"
    assert said(found(read_pair(jpeg, png)), "JPEG in 100 % of fake and 0 % of real", lone)
    assert said(found(read_pair(png, jpeg)), "0 % of fake and 100 % of real", lone)
    same = read_pair(jpeg, folder(tmp_path / "more", BYTES, "jpg", quality=95))
    assert said(same.notes, "both sets hold JPEG")
    assert not same.findings
    folder(tmp_path / "png", BYTES, "jpg")
    assert said(found(read_pair(png, jpeg)), "JPEG in 50 % of fake and 100 % of real", lone)
    assert said(found(read_pair(webp, jpeg)), "WEBP artefacts")
    assert not found(read_pair(exact, exact))


def test_a_header_tells_the_size_as_displayed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BYTES[0, :8]).save(tmp_path / "x.jpg", exif=exif)
    Image.fromarray(BYTES[0, :8]).save(tmp_path / "x.png")
    assert header(tmp_path / "x.jpg").size == (8, 16)
    assert header(tmp_path / "x.png").size == (16, 8)


def test_digits_are_compared_with_digits_they_do_not_share():
    pair = read_pair("digits", "digits")
    assert pair.fake.shape == (1198, 1, 8, 8)
    assert pair.real.shape == (599, 1, 8, 8)
    assert sorted(pair.real.unique().tolist()) == [v / 8 - 1 for v in range(17)]


IMAGES = torch.from_numpy(BYTES).permute(0, 3, 1, 2)


def test_tensors_of_images_pass_unchanged_and_bytes_come_to_model_units():
    x = IMAGES.float() / 127.5 - 1
    pair = as_pair(x, IMAGES)
    assert pair.fake is x
    assert torch.equal(pair.real, x)
    assert torch.equal(as_pair(IMAGES[:, 0], x[:, :1]).fake, x[:, :1])
    noisy = as_pair(x + 0.001, x)
    assert said(found(noisy), "pixels: real holds only 256 levels", "rounded=True")
    assert torch.equal(as_pair(x + 0.001, x, rounded=True).fake[:, :, 1:], x[:, :, 1:])


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (IMAGES.float() / 255, "two scales"),
        (IMAGES.float(), "two scales"),
        (IMAGES.permute(0, 2, 3, 1).float() / 127.5 - 1, "permute"),
        (IMAGES.int() * 5, "no pixels"),
        (IMAGES[:, :, :8].float() / 127.5 - 1, r"\(3, 8, 16\).*\(3, 16, 16\)"),
        (torch.zeros(3, 3, 16, 16).fill_(float("nan")), "row 0 holds NaN"),
    ],
    ids=["0..1", "0..255", "channels last", "too large", "another size", "nan"],
)
def test_tensors_of_images_on_another_scale_or_shape_are_refused(fake, words):
    with pytest.raises(DataError, match=words):
        as_pair(fake, IMAGES.float() / 127.5 - 1)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (np.arange(256), 1 / 127.5),
        (np.array([0, 255]), 2.0),
        (np.arange(17) * 255 / 16, 2 / 16),
        (np.array([0, 7, 200, 255]), 1 / 127.5),  # few, and not evenly: rounded to 256 all the same
        (np.array([80]), 1 / 127.5),
    ],
)
def test_the_cell_is_the_distance_of_levels_that_lie_evenly(found, wanted):
    x = torch.from_numpy(np.resize(found, (5000, 1, 4, 4)) / 127.5 - 1).float()
    assert cell_of(x) == pytest.approx(wanted, rel=1e-6)
