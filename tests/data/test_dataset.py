"""Laws of the split, the units and the labels."""

import numpy as np
import pytest
import torch

from pushforward.data.dataset import fingerprint, split
from pushforward.data.labels import numbered
from pushforward.data.pixels import Pixels, inner_side, model_side, recognise, with_channels
from pushforward.data.source import load
from pushforward.data.units import standardise
from pushforward.errors import DataError, UsageError


@pytest.mark.parametrize(("n", "fraction"), [(10, 0.1), (97, 1 / 3), (1000, 0.5)])
def test_a_split_divides_all_rows_without_overlap(n, fraction):
    train, test = split(n, 0, fraction)
    assert sorted([*train, *test]) == list(range(n))
    assert len(test) == max(1, round(n * fraction))


def test_a_split_is_a_function_of_its_seed():
    assert np.array_equal(split(100, 1, 0.2)[0], split(100, 1, 0.2)[0])
    assert not np.array_equal(split(100, 1, 0.2)[0], split(100, 2, 0.2)[0])


@pytest.mark.parametrize(("seed", "fraction"), [(0, 0.0), (0, 1.0), (-1, 0.5)])
def test_a_split_out_of_range_is_refused(seed, fraction):
    with pytest.raises(UsageError):
        split(100, seed, fraction)


def test_the_fingerprint_depends_on_values_and_not_on_memory_layout():
    x = np.arange(6.0).reshape(2, 3)
    assert fingerprint(x) == fingerprint(np.asfortranarray(x))
    assert fingerprint(x) != fingerprint(x + 1e-12)
    assert len(fingerprint(x)) == 16


def test_columns_are_standardised_and_come_back():
    x = np.random.default_rng(0).standard_normal((200, 3)) * (1e-3, 1, 1e4) + (5, 0, -1e5)
    unit = standardise(x, place="x")
    z = unit.encode(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3))
    np.testing.assert_allclose(unit.decode(z), x, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("side", "model"), [(8, 8), (28, 32), (32, 32), (13, 16)])
def test_eight_bit_images_come_back_exactly_without_their_padding(side, model, channels):
    levels = np.random.default_rng(0).integers(0, 256, (5, side, side, channels), dtype=np.uint8)
    unit = Pixels(model, inner_side(side, model), channels)
    x = unit.encode(levels)
    assert x.shape == (5, channels, model, model)
    assert x.min() >= -1
    assert x.max() <= 1
    assert np.array_equal(unit.decode(x), levels[..., 0] if channels == 1 else levels)


def test_padding_is_black_and_centred():
    x = Pixels(32, 28, 1).encode(np.full((1, 28, 28), 255, np.uint8))
    assert (x[:, :, 2:30, 2:30] == 1).all()
    assert x.sum() == 28**2 - (32**2 - 28**2)


def test_decoding_rounds_and_clips():
    unit = Pixels(4, 4, 1)
    level = torch.tensor([100.4, 100.6, -30.0, 300.0])
    x = (level / 127.5 - 1).reshape(4, 1, 1, 1).expand(4, 1, 4, 4)
    assert unit.decode(x)[:, 0, 0].tolist() == [100, 101, 0, 255]


@pytest.mark.parametrize(
    ("short", "side"), [(8, 8), (28, 32), (32, 32), (26, 32), (25, 16), (100, 64), (103, 128), (178, 128), (3, 4)]
)
def test_the_side_is_kept_padded_by_a_quarter_at_most_or_halved(short, side):
    assert model_side(short, None, "x") == side


def test_resizing_keeps_a_constant_and_the_mean():
    unit = Pixels(16, 16, 3)
    grey = unit.encode(np.full((2, 50, 40, 3), 100, np.uint8))
    torch.testing.assert_close(grey, torch.full_like(grey, 100 / 127.5 - 1))
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    assert abs(float(unit.encode(noise).mean()) - (noise.mean() / 127.5 - 1)) < 0.01


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8), (5, 1, 4, 4), (5, 4, 4, 1), (5, 6, 9, 4)])
def test_every_layout_is_brought_to_channels_last(shape):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seen = recognise(x, "x")
    assert seen.shape[-1] in (1, 3, 4)
    assert seen.shape[-1] == (1 if len(shape) == 3 else 1 if 1 in shape else 3 if 3 in shape else 4)
    assert sorted(seen.ravel()) == sorted(x.ravel())


def test_every_range_is_brought_to_the_same_levels():
    levels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    levels[0, 0, :2] = 0, 255
    for x in (levels, levels.astype(np.int64), levels / 255, levels / 127.5 - 1, levels.astype(np.float32)):
        np.testing.assert_allclose(recognise(x, "x")[..., 0], levels, atol=1e-3)
    assert set(recognise(levels > 128, "x").ravel()) == {0, 255}


def test_an_array_with_two_possible_layouts_is_refused():
    with pytest.raises(DataError, match="where the channels are"):
        recognise(np.zeros((5, 3, 3, 3), np.uint8), "x")


def test_grey_survives_a_round_trip_through_colour_and_transparent_pixels_turn_black():
    grey = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    for channels in (3, 4):
        assert np.array_equal(with_channels(with_channels(grey, channels), 1), grey)
    clear = np.concatenate([np.repeat(grey, 3, -1), np.zeros_like(grey)], axis=-1)
    assert not with_channels(clear, 3).any()


@pytest.mark.parametrize(
    "values", [[7, 3, 3, 7], [7.0, 3.0, 3.0, 7.0], ["b", "a", "a", "b"], [True, False, False, True]]
)
def test_classes_are_numbered_in_sorted_order(values):
    codes, held, names = numbered(np.array(values), np.array(values[:2]), 4, "x")
    assert codes.tolist() == [1, 0, 0, 1]
    assert held is not None
    assert held.tolist() == [1, 0]
    assert names == tuple(str(v) for v in np.unique(np.array(values).astype(int) if values[0] == 7 else values))


@pytest.mark.parametrize("rare", [1, 2, 3])
def test_every_class_has_a_row_to_train_on_at_any_seed(tmp_path, rare):
    x = np.random.default_rng(0).normal(size=(100, 2))
    names = np.array(["a"] * (100 - rare) + ["rare"] * rare)
    np.savez(tmp_path / "x.npz", x=x, y=names)
    said = 0
    for seed in range(60):
        data = load(f"{tmp_path / 'x.npz'}:x", labels="y", seed=seed)
        assert data.train_labels is not None
        assert data.test_labels is not None
        assert set(data.train_labels.tolist()) == {0, 1}
        assert (len(data.train), len(data.test)) == (90, 10)
        back = np.concatenate([data.decode(data.train), data.decode(data.test)])
        assert np.allclose(np.sort(back, 0), np.sort(x, 0), atol=1e-5)  # rows change places, none is lost or doubled
        assert [data.classes[code] for code in data.train_labels.tolist()].count("rare") + int(
            data.test_labels.sum()
        ) == rare
        said += len(data.notes)
        assert all("class rare" in note for note in data.notes)
    assert said if rare == 1 else said < 30


def test_series_are_refused_with_the_shape_that_is_meant(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(40, 100, 3)))
    with pytest.raises(DataError, match=r"series of 100 steps of 3 numbers.*x.reshape\(40, 300\)"):
        load(str(tmp_path / "x.npy"))
    x = np.random.default_rng(0).uniform(size=(40, 16, 12, 1))
    np.save(tmp_path / "x.npy", x)
    assert load(str(tmp_path / "x.npy")).notes == (
        "images of 12 x 16: the square in their middle is kept, 25% is cut off",
        "images of 12 x 16 pixels are resized to 8 x 8, with antialiasing",
    )
