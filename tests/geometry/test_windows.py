"""Windows: derivatives, logarithms, and the kernels that they are the forces of."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.geometry.kernels import energy, imq, multiscale, rbf
from pushforward.geometry.windows import laplace, logarithm, matern32, rational, sharp

S = torch.logspace(-2, 1.5, 60, dtype=torch.float64)
WINDOWS = [rbf(0.7), laplace(0.6), matern32(1.1), rational(0.9), rational(0.5, 1.3), imq(1.2, 2.0)]
each = pytest.mark.parametrize("kernel", WINDOWS, ids=lambda kernel: kernel.name)


@each
def test_derivatives_of_all_orders_are_those_of_the_profile(kernel):
    s = S.clone().requires_grad_()
    value = kernel.profile(s)
    for order in (1, 2, 3):
        (value,) = torch.autograd.grad(value.sum(), s, create_graph=True)
        torch.testing.assert_close(kernel.derivative(s.detach(), order), value.detach(), rtol=1e-9, atol=1e-12)


@each
def test_logarithms_are_those_of_the_profile_and_finite_far_beyond_it(kernel):
    torch.testing.assert_close(logarithm(kernel)(S), kernel.profile(S).log())
    assert math.isfinite(float(logarithm(kernel)(torch.tensor(1e12, dtype=torch.float64))))


@each
def test_the_sharp_kernel_is_the_integral_of_the_window(kernel):
    r = torch.linspace(0.2, 400, 2_000_001, dtype=torch.float64)
    beyond = torch.trapezoid(r * kernel.profile(r.square()), r)
    tail = 400 ** (2 - 2 * 1.3) if kernel.name == "rational(1.3)" else 1e-2 if "rational" in kernel.name else 1e-4
    assert float(sharp(kernel).profile(torch.tensor(0.04, dtype=torch.float64))) == pytest.approx(
        float(beyond), rel=tail
    )


@each
def test_the_gradient_of_the_sharp_kernel_is_the_mean_shift_of_the_window(kernel):
    torch.testing.assert_close(sharp(kernel).derived()(S, 1), -kernel.profile(S) / 2)
    s = S.clone().requires_grad_()
    (slope,) = torch.autograd.grad(sharp(kernel).profile(s).sum(), s)
    torch.testing.assert_close(slope, -kernel.profile(S) / 2)


NONE = [imq(1), imq(1, 1), energy(), rational(1, 1), multiscale(rbf, 1)]


@pytest.mark.parametrize("kernel", NONE, ids=lambda kernel: kernel.name)
def test_some_windows_are_the_force_of_nothing_known(kernel):
    with pytest.raises(UsageError, match="is the force of no kernel"):
        sharp(kernel)


@pytest.mark.parametrize("family", [laplace, matern32, rational, partial(rational, power=3.0)])
@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_lengths_are_positive(family, length):
    with pytest.raises(UsageError, match="give a positive one"):
        family(length)
