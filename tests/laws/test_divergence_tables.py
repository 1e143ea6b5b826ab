"""The tables of an f-divergence agree with each other: f, f', f'', the weight w(d) and the potential psi(d)."""

from __future__ import annotations

import math

import pytest
import torch
from laws.family import ALL, SMOOTH, WEIGHTS, close, each, each_smooth, real, slope

from pushforward.divergences import (
    HELLINGER,
    JEFFREYS,
    JS,
    KL,
    LIN,
    LOGD,
    NEYMAN,
    PEARSON,
    REVERSE_KL,
    TV,
    alpha,
    locate,
    names,
    potential,
    weight,
)

R = torch.logspace(-3, 3, 241, dtype=torch.float64)
D = torch.linspace(-30, 30, 1201, dtype=torch.float64)


def test_the_family_holds_every_constant_of_the_module():
    found = {name: locate(name) for name in names()}
    plain = {name for name, divergence in found.items() if divergence.contrast is None}
    assert {divergence.name for divergence in ALL} >= {found[name].name for name in plain}
    assert plain == {"KL", "REVERSE_KL", "JS", "LOGD", "JEFFREYS", "PEARSON", "NEYMAN", "HELLINGER", "LIN", "TV"}
    regularised = {f"{name}_LIP" for name in ("KL", "REVERSE_KL", "JS", "PEARSON", "HELLINGER", "TV")}
    assert set(names()) == plain | regularised | {"W1", "HINGE"}


@each
def test_f_and_its_slope_vanish_at_one(divergence):
    one = real([1.0])
    assert divergence.f(one).abs().item() < 1e-10
    assert divergence.df(one).abs().item() < 1e-10


@each
def test_f_is_positive_away_from_one(divergence):
    away = R[(R - 1).abs() > 1e-2]
    assert (divergence.f(away) > 1e-6).all()


@each_smooth
def test_first_derivative_is_that_of_f(divergence):
    close(slope(divergence.f, R), divergence.df(R), 1e-10, 1e-10)


@each_smooth
def test_second_derivative_is_that_of_the_first_and_positive(divergence):
    close(slope(divergence.df, R), divergence.d2f(R), 1e-10)
    assert (divergence.d2f(R) > 0).all()


def test_slope_of_total_variation_is_half_a_sign():
    assert TV.df(real([0.3, 1.0, 1.7])).tolist() == [-0.5, 0.0, 0.5]
    assert TV.d2f(real([0.3, 1.0, 1.7])).tolist() == [0.0, math.inf, 0.0]


@each_smooth
def test_weight_is_r_times_the_second_derivative(divergence):
    r = (-D).exp()
    close(divergence.log_weight(D).exp(), r * divergence.d2f(r), 1e-12)


@each_smooth
def test_log_weight_agrees_with_the_weight_written_directly(divergence):
    close(weight(divergence, D)[0], WEIGHTS[divergence](D), 1e-12)


@each_smooth
def test_potential_falls_with_the_weight_as_its_slope(divergence):
    close(slope(divergence.variation, D), -WEIGHTS[divergence](D), 1e-12)
    close(slope(lambda d: potential(divergence, d), D), -WEIGHTS[divergence](D), 1e-12)


@each_smooth
def test_potential_is_the_first_variation_up_to_a_constant(divergence):
    d = torch.linspace(-5, 5, 101, dtype=torch.float64)
    gap = divergence.variation(d) - divergence.df((-d).exp())
    close(gap, gap.mean().expand_as(gap), 0.0, 1e-10)


@pytest.mark.parametrize(
    ("parts", "whole"), [((JS, LOGD), KL), ((KL, REVERSE_KL), JEFFREYS)], ids=["JS + logD = KL", "KL + rKL = Jeffreys"]
)
def test_sum_of_two_divergences_is_the_third(parts, whole):
    for name in ("f", "df", "d2f"):
        total = sum(getattr(part, name)(R) for part in parts)
        close(total, getattr(whole, name)(R), 1e-11, 1e-11)
    close(sum(weight(part, D)[0] for part in parts), weight(whole, D)[0], 1e-12)


SWAPS = [(KL, REVERSE_KL), (PEARSON, NEYMAN), (alpha(1.5), alpha(-0.5)), (alpha(-1), alpha(2)), (JS, JS), (TV, TV),
         (HELLINGER, HELLINGER), (JEFFREYS, JEFFREYS), (alpha(0.5), alpha(0.5))]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SWAPS, ids=[f"{one} and {other}" for one, other in SWAPS])
def test_swapping_the_arguments_turns_f_into_r_times_f_of_the_inverse(one, other):
    close(R * one.f(1 / R), other.f(R), 1e-10, 1e-10)
    close(one.f(R), R * other.f(1 / R), 1e-10, 1e-10)


def test_lin_is_the_half_of_js_that_is_seen_from_the_data():
    close(LIN.f(R) + R * LIN.f(1 / R), JS.f(R), 1e-10, 1e-10)
    d = real([-1.3, 0.0, 0.7])
    close(weight(LIN, d)[0], torch.sigmoid(d) * torch.sigmoid(-d), 1e-12)


def test_alpha_at_zero_and_one_is_kullback_leibler():
    assert alpha(1) is KL
    assert alpha(0.0) is REVERSE_KL


@pytest.mark.parametrize("gap", [1e-6, -1e-6])
@pytest.mark.parametrize(("order", "limit"), [(1.0, KL), (0.0, REVERSE_KL)], ids=["KL", "reverse KL"])
def test_alpha_tends_to_kullback_leibler(order, limit, gap):
    near, r = alpha(order + gap), torch.logspace(-1, 1, 41, dtype=torch.float64)
    close(near.f(r), limit.f(r), 1e-5, 1e-8)
    close(near.df(r), limit.df(r), 1e-5, 1e-8)
    close(weight(near, r.log())[0], weight(limit, r.log())[0], 1e-5)


MULTIPLES = [(2.0, PEARSON, 0.5), (0.5, HELLINGER, 2.0), (-1.0, NEYMAN, 0.5)]


@pytest.mark.parametrize(("order", "known", "factor"), MULTIPLES, ids=[str(known) for _, known, _ in MULTIPLES])
def test_alpha_of_a_special_order_is_a_multiple_of_a_named_divergence(order, known, factor):
    member = alpha(order)
    for name in ("f", "df", "d2f"):
        close(getattr(member, name)(R), factor * getattr(known, name)(R), 1e-11, 1e-11)
    close(weight(member, D)[0], factor * weight(known, D)[0], 1e-12)
    t = torch.linspace(-5, factor * min(known.domain, 3.0) - 1e-3, 60, dtype=torch.float64)
    close(member.conjugate(t), factor * known.conjugate(t / factor), 1e-11, 1e-11)
    assert member.domain == factor * known.domain


def test_members_are_frozen_and_say_their_name():
    assert len({str(divergence) for divergence in SMOOTH}) == len(SMOOTH)
    with pytest.raises(AttributeError):
        KL.name = "other"  # type: ignore[misc]


ORDERS = [1 + 1e-2, 1 - 1e-2, 1 + 1e-5, 1 - 1e-5, 1 + 1e-12, 1e-2, -1e-2, 1e-5, -1e-5, 1e-12, 0.5, 1.5, -1.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("divergence", [*ALL, *map(alpha, ORDERS)], ids=str)
def test_f_is_never_negative_and_right_close_to_one(divergence, dtype):
    """f(1 + e) is d2f(1) e^2 / 2 (1 + O(e)): far smaller than the rounding of any of its terms."""
    eps = torch.finfo(dtype).eps
    gaps = torch.cat([torch.logspace(math.log10(2 * eps), -1, 300, dtype=dtype)] * 2)
    gaps[300:] *= -1
    r = 1 + gaps
    assert (divergence.f(r) >= 0).all()
    if divergence is not TV:
        gap = r - 1  # what is there after rounding
        wanted = divergence.d2f(torch.ones((), dtype=dtype)) * gap.square() / 2
        far = gap.abs() > 64 * eps
        off = ((divergence.f(r) - wanted).abs() / wanted)[far]
        assert (off <= 3 * gap.abs()[far] + 30 * eps / gap.abs()[far]).all()


@pytest.mark.parametrize("order", ORDERS)
def test_alpha_is_the_number_of_many_digits(order):
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 60
    divergence, a = alpha(order), mpmath.mpf(float(order))
    r = [1e-6, 0.01, 0.5, 0.999, 1.001, 2.0, 100.0, 1e6]
    found, slopes = divergence.f(real(r)).tolist(), divergence.df(real(r)).tolist()
    for x, value, slope_there in zip(map(mpmath.mpf, r), found, slopes, strict=True):
        wanted = (x**a - 1 - a * (x - 1)) / (a * (a - 1))
        assert value == pytest.approx(float(wanted), rel=2e-12 / min(1, abs(float(x) - 1)))
        t = (x ** (a - 1) - 1) / (a - 1)
        assert slope_there == pytest.approx(float(t), rel=1e-12)
    near = [-0.5, -1e-3, 1e-9, 0.3, 0.9]
    for t, value in zip(near, divergence.conjugate(real(near)).tolist(), strict=True):
        base = 1 + (a - 1) * mpmath.mpf(t)
        wanted = (base ** (a / (a - 1)) - 1) / a if base > 0 else -1 / a if order > 1 else math.inf
        assert value == pytest.approx(float(wanted), rel=1e-11, abs=1e-18)


@pytest.mark.parametrize("divergence", [KL, REVERSE_KL, JS, LOGD, JEFFREYS, HELLINGER, TV, alpha(1.01), alpha(0.99)])
def test_f_of_ratios_at_the_ends_of_single_precision_is_its_limit(divergence):
    r = torch.tensor([1e-37, 1e-20, 1e20, 1e36])
    wanted = divergence.f(r.double())
    torch.testing.assert_close(divergence.f(r).double(), wanted, rtol=1e-5, atol=0)
    assert wanted.isfinite().all()
    assert not divergence.f(torch.zeros(1)).isnan().any()
