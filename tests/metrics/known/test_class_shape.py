"""Shape within classes: what is planted is measured against held-out rows, and one law is not accused."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from pushforward import evaluate
from pushforward.errors import DataError
from pushforward.metrics import digits8
from pushforward.metrics.known.class_shape import class_shape

NAMES = ("class_width", "class_centre", "class_correlation")
FIXED = np.random.default_rng(5)
MEANS, ROOTS = 8 * FIXED.normal(size=(6, 4)), FIXED.normal(size=(6, 4, 4))
ROOTS /= np.sqrt(np.square(ROOTS).sum((1, 2)) / 4)[:, None, None]  # each class one wide along an axis, on average


def drawn(n, seed, *, width=1.0, off=0.0, roots=ROOTS, kept=6):
    rng = np.random.default_rng(seed)
    label = rng.integers(kept, size=n)
    away = rng.standard_normal((6, 4))
    away *= off / np.linalg.norm(away, axis=1, keepdims=True)
    return MEANS[label] + width * np.einsum("nij,nj->ni", roots[label], rng.standard_normal((n, 4))) + away[
        label
    ], label


def compared(first, second, **options):
    return class_shape(first[0], second[0], first[1], second[1], **options)


@pytest.mark.parametrize("n", [2500, 10_000])
@pytest.mark.parametrize("width", [0.42, 0.85, 1.2])
def test_a_planted_width_is_measured_and_told_apart_and_nothing_else_is(width, n):
    for seed in range(3):
        found = compared(drawn(n, seed, width=width), drawn(3000, 100 + seed))
        assert found["class_width"].p == 0.001
        assert abs(found["class_width"].value - width) < 4 * found["class_width"].se
        assert min(found[name].p for name in NAMES[1:]) > 0.005


@pytest.mark.parametrize("n", [2500, 10_000])
def test_means_that_are_off_and_correlations_of_another_class_are_told_apart(n):
    for seed in range(3):
        off = compared(drawn(n, seed, off=0.4), drawn(3000, 100 + seed))
        assert off["class_centre"].p == 0.001
        assert abs(off["class_centre"].value - 0.4) < 4 * off["class_centre"].se
        assert min(off[name].p for name in ("class_width", "class_correlation")) > 0.005
        other = compared(drawn(n, seed, roots=np.roll(ROOTS, 1, 0)), drawn(3000, 100 + seed))
        assert other["class_correlation"].p == 0.001
        shapes = [root @ root.T for root in ROOTS]
        apart = [np.square(a - b).sum() / 12 for a, b in zip(np.roll(shapes, 1, 0), shapes)]
        assert abs(other["class_correlation"].value - np.mean(apart) ** 0.5) < 4 * other["class_correlation"].se


def test_p_values_of_one_law_are_uniform():
    found = [compared(drawn(300, 2 * i), drawn(400, 2 * i + 1), seed=i) for i in range(100)]
    for name in NAMES:
        p = np.array([one[name].p for one in found])
        assert stats.kstest(p, "uniform").pvalue > 0.001
        assert (p <= 0.05).mean() < 0.14


def test_classes_that_one_side_lacks_are_left_out_and_told_of():
    found = compared(drawn(600, 0, kept=4), drawn(600, 1))
    for name in NAMES:
        assert found[name].protocol["classes_counted"] == 4
        assert "2 of 6 classes hold fewer than 20 samples or rows" in found[name].protocol["note"]
        assert {row["class"] for row in found[name].rows} == set(range(4))
        assert found[name].p > 0.005


def test_numbers_do_not_change_with_units_place_direction_or_names_of_classes():
    (x, k), (y, m) = drawn(600, 0, width=0.8, off=0.3), drawn(700, 1)
    turn = 7 * np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    once, again = class_shape(x, y, k, m), class_shape(x @ turn + 3, y @ turn + 3, k + 10, m + 10)
    for name in NAMES:
        assert again[name].value == pytest.approx(once[name].value, rel=1e-6)
        assert again[name].p == once[name].p


def test_the_order_of_the_samples_changes_no_value_and_swapped_sides_have_the_inverse_width():
    (x, k), (y, m) = drawn(600, 0, width=0.8), drawn(700, 1)
    once, again = class_shape(x, y, k, m), class_shape(x[::-1].copy(), y, k[::-1].copy(), m)
    assert again["class_width"].value == pytest.approx(once["class_width"].value, rel=1e-9)
    swapped = class_shape(y, x, m, k)
    assert swapped["class_width"].value * once["class_width"].value == pytest.approx(1, rel=1e-9)


def test_classes_that_fell_to_a_point_have_no_width_and_no_direction():
    (x, k), (y, m) = drawn(600, 0), drawn(700, 1)
    middle = np.stack([x[k == one].mean(0) for one in range(6)])[k]
    found = class_shape(middle, y, k, m)
    assert found["class_width"].value < 1e-6
    assert found["class_width"].p == 0.001
    assert found["class_correlation"].value == 0
    assert found["class_correlation"].p > 0.05
    for still in (found, class_shape(middle, middle, k, k)):
        assert all(np.isfinite((one.value, one.se)).all() for one in still.values())


def test_what_does_not_fit_is_refused():
    (x, k), (y, m) = drawn(60, 0), drawn(60, 1)
    with pytest.raises(DataError, match="none of 6 classes has 20 samples and as many rows"):
        class_shape(x, y, k, m)
    with pytest.raises(DataError, match="fake_labels has shape"):
        class_shape(x, y, k[:5], m)
    with pytest.raises(DataError, match="real_labels has shape"):
        class_shape(x, y, k, m / 2)


def test_an_evaluation_of_digits_sees_classes_that_are_drawn_together():
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    images = torch.from_numpy(pixels[order] / 8 - 1).float().reshape(-1, 1, 8, 8)
    fake, real, label = images[:900], images[900:], torch.from_numpy(labels[order][:900])
    middles = torch.stack([fake[label == k].mean(0) for k in range(10)])[label]
    honest, drawn_in = (evaluate(x, real, metrics="class_shape") for x in (fake, middles + 0.8 * (fake - middles)))
    assert honest.grade == "good"
    assert drawn_in.grade == "bad"
    name = f"class_width@{digits8().id}"
    assert drawn_in[name].value < 0.95 < honest[name].value
    assert drawn_in[name].p == 0.001
    assert "× as wide" in drawn_in.verdict
