"""Laws of units: there and back is the identity, still columns stay, and a file gives back the same unit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pushforward.data import load
from pushforward.data.pixels import Pixels
from pushforward.data.units import Unit, box, pooled, robust, standardise
from pushforward.errors import DataError

X = np.random.default_rng(0).normal(size=(200, 3)) * (1, 100, 1e-3) + (0, 5, -2)


@pytest.mark.parametrize("made", [lambda x: standardise(x, place="x"), lambda x: robust(x, place="x"), pooled])
def test_there_and_back_is_the_identity_up_to_float32(made):
    unit = made(X)
    np.testing.assert_allclose(unit.decode(unit.encode(X)), X, rtol=1e-5, atol=1e-6 * np.abs(X).max())
    assert unit.encode(X).dtype == torch.float32


def test_arrays_and_tensors_have_the_same_unit():
    unit = pooled(X)
    assert torch.equal(unit.encode(X), unit.encode(torch.from_numpy(X)))


def test_columns_of_one_cloud_get_mean_0_and_deviation_1_by_either_way():
    for unit in (standardise(X, place="x"), pooled(X)):
        np.testing.assert_allclose(unit.shift, X.mean(0), rtol=1e-12)
        np.testing.assert_allclose(unit.scale, X.std(0), rtol=1e-12)


def test_two_clouds_count_alike_whatever_their_sizes():
    y = X[:20] * 2 + 1
    unit = pooled(X, y)
    np.testing.assert_allclose(unit.shift, (X.mean(0) + y.mean(0)) / 2)
    variance = (X.var(0) + y.var(0)) / 2 + (X.mean(0) - y.mean(0)) ** 2 / 4
    np.testing.assert_allclose(unit.scale, np.sqrt(variance))


def test_a_column_that_does_not_vary_is_0_in_the_model_and_its_constant_afterwards():
    x = np.c_[X[:, 0], np.full(len(X), 7.25)]
    unit = pooled(x)
    assert not unit.encode(x)[:, 1].any()
    assert (unit.decode(torch.randn(5, 2))[:, 1] == 7.25).all()


def test_pixels_fill_the_box():
    x = np.random.default_rng(1).uniform(3, 9, (5, 1, 4, 4))
    encoded = box(x).encode(x)
    assert (encoded.min(), encoded.max()) == (-1, 1)


def test_what_is_too_large_for_the_model_is_infinite_and_no_warning(recwarn):
    assert Unit(np.zeros(1), np.ones(1)).encode(np.array([[1e200]])).isinf().all()
    assert not recwarn.list


def test_tensors_of_a_file_give_back_the_unit():
    unit = pooled(X)
    tensors = unit.tensors() | {"other": torch.ones(1)}
    again = Unit.of_tensors(tensors)
    assert list(tensors) == ["other"]
    np.testing.assert_array_equal(again.shift, unit.shift)
    np.testing.assert_array_equal(again.scale, unit.scale)


@pytest.mark.parametrize("name", ["toy:moons", "toy:ring8", "digits"])
def test_a_unit_that_is_not_written_down_is_found_by_its_answers(name):
    known = load(name, limit=200)
    found = replace(known, unit=None).known_unit
    assert known.unit is not None
    assert known.known_unit is known.unit
    if isinstance(known.unit, Pixels):
        assert found == known.unit
    else:
        assert isinstance(found, Unit)
        for one, other in zip(found.columns(known.event), known.unit.columns(known.event), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    assert found.log_volume(known.event) == pytest.approx(known.log_volume, rel=1e-12)


def test_the_volume_of_a_column_that_does_not_vary_is_endless():
    assert Unit(np.zeros(2), np.array([2.0, 0.0])).log_volume((2,)) == np.inf
    assert Unit(np.zeros(2), np.array([2.0, 4.0])).log_volume((2,)) == pytest.approx(-np.log(8))
    assert Unit(np.asarray(0.0), np.asarray(2.0)).log_volume((3, 2)) == pytest.approx(-6 * np.log(2))


def test_every_constant_column_is_named_with_a_spec_without_them(tmp_path):
    path = tmp_path / "const.csv"
    path.write_text("a,b,c\n" + "".join(f"{k}.5,1,2\n" for k in range(20)))
    with pytest.raises(DataError, match=r"columns 'b', 'c' are constant .* leave them out, .*const\.csv:a$"):
        load(str(path))


def test_rows_come_to_lie_one_after_the_other_however_they_lay():
    unit = Unit(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    x = np.asfortranarray(np.random.default_rng(0).normal(size=(5, 2)))
    found = unit.encode(x)
    assert found.is_contiguous()
    assert found.equal(unit.encode(np.ascontiguousarray(x)))
