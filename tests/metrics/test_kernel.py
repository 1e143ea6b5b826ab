"""MMD: closed form, unbiasedness, exact permutation p-values, blocks."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.geometry import energy, imq, multiscale, rbf
from pushforward.metrics.kernel import mmd, mmd_permutations, mmd_squared


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def mean_kernel(bandwidth, a, b, shift, dim):
    """E k(X, Y) for X ~ N(0, a² I), Y ~ N(shift, b² I), |shift|² given per axis."""
    total = bandwidth**2 + a**2 + b**2
    return (bandwidth**2 / total) ** (dim / 2) * math.exp(-dim * shift**2 / (2 * total))


def test_unbiased_estimate_averages_to_the_closed_form_for_gaussians():
    kernel, shift, scale = rbf(0.9), 0.4, 1.3
    truth = (
        mean_kernel(0.9, scale, scale, 0, 3) + mean_kernel(0.9, 1, 1, 0, 3) - 2 * mean_kernel(0.9, scale, 1, shift, 3)
    )
    values = [mmd_squared(normal(40, 3, 2 * i, scale, shift), normal(60, 3, 2 * i + 1), kernel) for i in range(300)]
    assert abs(np.mean(values) - truth) < 3 * np.std(values, ddof=1) / len(values) ** 0.5
    assert truth > 10 * np.std(values, ddof=1) / len(values) ** 0.5  # the test can see a missing term


@pytest.mark.parametrize("kernel", [multiscale(rbf, 1.0), imq(1.0), energy()], ids=lambda kernel: kernel.name)
def test_estimates_equal_their_definitions(kernel):
    q, p = normal(11, 2, 0), normal(17, 2, 1, shift=1.0)
    xx, yy, xy = kernel(q, q), kernel(p, p), kernel(q, p)
    biased = xx.mean() + yy.mean() - 2 * xy.mean()
    unbiased = (xx.sum() - xx.trace()) / (11 * 10) + (yy.sum() - yy.trace()) / (17 * 16) - 2 * xy.mean()
    assert mmd_squared(q, p, kernel, biased=True) == pytest.approx(biased.item(), rel=1e-9)
    assert mmd_squared(q, p, kernel) == pytest.approx(unbiased.item(), rel=1e-9)
    assert mmd_squared(q, q, kernel, biased=True) == pytest.approx(0, abs=1e-8)


def test_energy_kernel_on_the_line_gives_the_energy_distance_of_scipy():
    q, p = normal(50, 1, 0), normal(70, 1, 1, 2.0)
    wanted = stats.energy_distance(q[:, 0].numpy(), p[:, 0].numpy()) ** 2
    assert mmd_squared(q, p, energy(), biased=True) == pytest.approx(wanted, rel=1e-9)


def test_relabelled_values_equal_the_estimate_on_relabelled_samples():
    q, p, kernel = normal(9, 2, 0), normal(12, 2, 1), rbf(1.0)
    values, pool = mmd_permutations(q, p, kernel, 20, seed=3), torch.cat([q, p])
    order = np.random.default_rng(3).random((21, 21)).argsort(1)
    for row in range(1, 21):
        mixed = pool[torch.from_numpy(order[row])]
        assert values[row].item() == pytest.approx(mmd_squared(mixed[:9], mixed[9:], kernel), abs=1e-12)
    assert values[0].item() == pytest.approx(mmd_squared(q, p, kernel), abs=1e-12)


def test_blocks_equal_the_dense_result():
    q, p, kernel = normal(60, 3, 0), normal(45, 3, 1), multiscale(rbf, 1.0)
    dense = mmd_permutations(q, p, kernel, 30)
    blocked = mmd_permutations(q, p, kernel, 30, budget=4 * 8 * 105 * 7)
    torch.testing.assert_close(blocked, dense, rtol=1e-10, atol=1e-14)


def test_p_values_are_uniform_for_equal_laws():
    values = np.array([
        mmd(normal(20, 2, 2 * i), normal(25, 2, 2 * i + 1), permutations=39, seed=i).p for i in range(400)
    ])  # fmt: skip
    # Values lie on the grid k / 40; spread over their cells they are uniform on [0, 1].
    smooth = values - np.random.default_rng(0).uniform(0, 1 / 40, 400)
    assert stats.kstest(smooth, "uniform").pvalue > 0.01
    assert abs((values <= 0.05).mean() - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5


def test_p_value_is_smallest_possible_for_a_clear_shift():
    measure = mmd(normal(100, 3, 0, shift=0.7), normal(100, 3, 1), permutations=99)
    assert measure.p == 1 / 100
    assert measure.value > measure.protocol["null_95"] > 0


def test_identical_samples_tie_with_every_relabelling_of_copies():
    x = torch.zeros(6, 1)
    x[3:] = 1
    assert mmd(x, x, permutations=50, kernel=rbf(1.0)).p > 0.9


def test_result_does_not_depend_on_the_order_of_the_rows():
    q, p, kernel = normal(30, 2, 0), normal(40, 2, 1), imq(1.0)
    assert mmd_squared(q.flip(0), p.flip(0), kernel) == pytest.approx(mmd_squared(q, p, kernel), rel=1e-10)


def test_protocol_names_kernel_bandwidth_and_sizes():
    measure = mmd(normal(30, 2, 0), normal(40, 2, 1), permutations=9, max_n=25, seed=4)
    assert (measure.n_fake, measure.n_real, measure.floor, measure.se) == (25, 25, 0.0, None)
    assert {"kernel", "bandwidth", "seed", "max_n", "permutations", "estimator"} <= measure.protocol.keys()
    assert mmd(normal(30, 2, 0), normal(40, 2, 1), permutations=0).p is None
