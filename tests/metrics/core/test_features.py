"""Feature spaces: identity, blocks, the bundled digit reader and its seal."""

import shutil

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from pushforward.errors import DataError
from pushforward.metrics.core.features import RAW, Features, blocked, fingerprint, of_module
from pushforward.metrics.networks.digits8 import SHA256, WEIGHTS, digits8, to_8x8


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(images.astype(np.float32) / 8 - 1).reshape(-1, 1, 8, 8)
    return pixels, torch.from_numpy(labels)


def test_raw_values_are_the_samples_flattened_in_double_precision():
    x = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    values = RAW(x)
    assert RAW.id == "raw"
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, x.reshape(5, 6).double(), rtol=0, atol=0)


def test_blocks_do_not_change_features_and_leave_no_graph():
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    space = of_module("mine", network, 4)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(space(x, block=7), space(x, block=50))
    assert not space(x).requires_grad
    assert network.training  # restored
    assert space.id.startswith("mine-")
    assert len(space.id) == len("mine-") + 8


def test_fingerprint_changes_with_any_weight_and_with_nothing_else():
    state = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
    assert fingerprint(state) == fingerprint(dict(reversed(state.items())))
    assert fingerprint(state) != fingerprint(state | {"a": torch.tensor([1.0, 1.0, 1.0000001])})
    assert fingerprint(state) != fingerprint(state | {"b": torch.zeros(4)})


def test_features_of_the_wrong_width_or_not_finite_are_refused():
    with pytest.raises(DataError, match=r"shape \(4, 3\), wanted \(4, 2\)"):
        Features("odd", "", 2, lambda x: x)(torch.zeros(4, 3))
    with pytest.raises(DataError, match="not finite"):
        Features("log", "", 3, torch.log)(-torch.ones(4, 3))


def test_digits8_reads_digits(digits):
    images, labels = digits
    space = digits8()
    assert space.classify is not None
    assert (blocked(space.classify, images).argmax(1) == labels).double().mean() > 0.98
    assert space(images[:10]).shape == (10, 64)
    assert space.id == f"digits8-{SHA256[:8]}"


def test_a_changed_weight_file_is_refused(tmp_path):
    copy = tmp_path / "digits8.safetensors"
    shutil.copy(WEIGHTS, copy)
    assert digits8(copy).id == digits8().id
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        digits8(copy)
    with pytest.raises(DataError, match="missing"):
        digits8(tmp_path / "none.safetensors")


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_enlarged_and_coloured_images_have_the_features_of_the_small_grey_ones(digits, factor):
    images = digits[0][:20]
    large = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    space = digits8()
    torch.testing.assert_close(space(large.expand(-1, 3, -1, -1)), space(images), rtol=1e-5, atol=1e-5)


def test_pooling_is_the_mean_of_each_cell():
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(to_8x8(x), x.reshape(3, 1, 8, 4, 8, 4).mean((3, 5)))


def test_other_sides_are_resized_without_moving_the_picture():
    ramp = torch.linspace(-1, 1, 28).expand(2, 1, 28, 28)
    small = to_8x8(ramp)
    assert small.shape == (2, 1, 8, 8)
    torch.testing.assert_close(small, -small.flip(3), rtol=0, atol=1e-5)
    centres = (torch.arange(1, 7) + 0.5) / 8 * 28 - 0.5
    torch.testing.assert_close(small[0, 0, 0, 1:7], centres / 27 * 2 - 1, rtol=0, atol=0.02)


def test_images_in_other_units_or_shapes_are_refused():
    with pytest.raises(DataError, match=r"values in \[0, 255\].*\[-1, 1\]"):
        digits8()(torch.tensor([0.0, 255.0]).repeat(32).reshape(1, 1, 8, 8))
    for shape in ((4, 2, 8, 8), (4, 1, 8, 16), (4, 64)):
        with pytest.raises(DataError, match="square images"):
            digits8()(torch.zeros(shape))
