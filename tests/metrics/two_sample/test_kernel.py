"""MMD: closed form, unbiasedness, exact permutation p-values, blocks."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.geometry import Kernel, energy, imq, median_bandwidth, multiscale, rbf
from pushforward.metrics.core.permutation import permutation_values, relabellings
from pushforward.metrics.two_sample.kernel import energy_distance, mmd, mmd_permutations, mmd_squared
from pushforward.metrics.two_sample.quadratic import relabelled_mmd, signal_to_noise


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


@pytest.mark.parametrize("biased", [False, True])
def test_relabelled_values_equal_the_estimate_on_relabelled_samples(biased):
    q, p, kernel = normal(9, 2, 0), normal(12, 2, 1), rbf(1.0)
    values = mmd_permutations(q, p, kernel, 20, seed=3, biased=biased)
    plain = permutation_values(lambda a, b: mmd_squared(a, b, kernel, biased=biased), q, p, 20, seed=3)
    torch.testing.assert_close(values, plain, rtol=0, atol=1e-12)
    assert len(values.unique()) > 15


def test_any_budget_gives_the_same_values():
    q, p, kernel = normal(60, 3, 0), normal(45, 3, 1), multiscale(rbf, 1.0)
    whole = mmd_permutations(q, p, kernel, 30)
    for side in (5, 23, 50):
        torch.testing.assert_close(
            mmd_permutations(q, p, kernel, 30, budget=64 * side**2), whole, rtol=1e-10, atol=1e-14
        )


def test_memory_stays_within_the_budget_where_the_matrix_would_not():
    q, p, budget = normal(1500, 2, 0), normal(1500, 2, 1), 2**20
    held = []

    def profile(squared):
        held.append(squared.numel())
        return torch.exp(-squared)

    mmd_permutations(q, p, Kernel("watched", 1.0, profile), 3, budget=budget)
    assert 5 * 8 * max(held) < budget < 8 * 3000**2 / 50
    assert sum(held) < 0.55 * 3000**2  # the mirrored half is not computed


def test_one_pass_serves_several_kernels_of_any_form():
    q, p = normal(30, 4, 0), normal(20, 4, 1)

    def matrices(x, y):
        return (x @ y.T / 4 + 1) ** 3, rbf(1.0)(x, y)

    values, _ = relabelled_mmd(torch.cat([q, p]), relabellings(30, 20, 10), matrices, budget=64 * 8**2)
    xx, yy, xy = ((a @ b.T / 4 + 1) ** 3 for a, b in ((q, q), (p, p), (q, p)))
    polynomial = (xx.sum() - xx.trace()) / (30 * 29) + (yy.sum() - yy.trace()) / (20 * 19) - 2 * xy.mean()
    assert values[0, 0].item() == pytest.approx(polynomial.item(), rel=1e-10)
    torch.testing.assert_close(values[1], mmd_permutations(q, p, rbf(1.0), 10), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["rbf", "energy", "cubic"])
def test_unbiased_estimates_average_to_zero_for_equal_laws(name):
    if name == "cubic":  # the kernel of KID

        def matrices(x, y):
            return ((x @ y.T / 5 + 1) ** 3,)
    else:
        kernel = rbf(2.0) if name == "rbf" else energy()

        def matrices(x, y):
            return (kernel(x, y),)

    labels = relabellings(30, 40, 0)
    pools = (torch.cat([normal(30, 5, 2 * i), normal(40, 5, 2 * i + 1)]) for i in range(300))
    values = np.array([relabelled_mmd(pool, labels, matrices)[0][0, 0] for pool in pools])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / 300**0.5
    assert (values < 0).any()  # neither clipped nor a root


def test_signal_to_noise_is_the_estimate_over_its_deviation():
    kernel, n = rbf(1.5), 40
    q, p = normal(n, 3, 0, shift=0.5), normal(n, 3, 1)
    xx, yy, xy = kernel(q, q), kernel(p, p), kernel(q, p)
    h = xx + yy - xy - xy.T
    variance = 4 * (h.sum(1).square().sum() / n**3 - h.sum() ** 2 / n**4)
    wanted = mmd_squared(q, p, kernel) / (variance + 1e-8).sqrt()
    found = signal_to_noise(xx.sum(1) - 1, yy.sum(1) - 1, xy.sum(1), xy.sum(0), 1.0)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-9)


def test_the_deviation_behind_signal_to_noise_is_that_of_repeated_samples():
    kernel, n, labels = rbf(1.5), 60, relabellings(60, 60, 0)

    def matrices(x, y):
        return (kernel(x, y),)

    estimates, signals = [], []
    for i in range(300):
        q, p = normal(n, 2, 2 * i, shift=1.0), normal(n, 2, 2 * i + 1)
        estimates.append(float(relabelled_mmd(torch.cat([q, p]), labels, matrices)[0]))
        xx, yy, xy = kernel(q, q), kernel(p, p), kernel(q, p)
        signals.append(float(signal_to_noise(xx.sum(1) - 1, yy.sum(1) - 1, xy.sum(1), xy.sum(0), 1.0)))
    # Var = sigma² / n to first order; the deviation of 300 values is known to 4 %.
    assert np.mean(estimates) / np.std(estimates) == pytest.approx(n**0.5 * np.mean(signals), rel=0.15)


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


@pytest.mark.parametrize("bandwidth", ["pooled", "split", "aggregated"])
@pytest.mark.parametrize("biased", [False, True])
def test_p_value_is_the_rank_of_the_value_among_the_relabelled_ones(bandwidth, biased):
    measure = mmd(
        normal(40, 2, 0, shift=0.3), normal(50, 2, 1), bandwidth=bandwidth, biased=biased, permutations=60, seed=1
    )
    null = measure.detail["null"]
    assert len(null) == 60
    assert measure.p == (1 + int((null >= measure.value).sum())) / 61
    assert 1 / 61 < measure.p < 1


def test_floor_of_the_biased_estimate_is_its_mean_over_all_relabellings():
    q, p, kernel = normal(20, 2, 0), normal(30, 2, 1), rbf(1.0)
    pool = torch.cat([q, p])
    matrix = kernel(pool, pool)
    mean = (matrix.sum() - matrix.trace()) / (50 * 49)
    measure = mmd(q, p, kernel=kernel, biased=True, permutations=2000)
    spread = measure.detail["null"].std() / 2000**0.5
    assert measure.floor == pytest.approx((1 / 20 + 1 / 30) * (1 - mean.item()), abs=4 * spread.item())


def test_split_tests_rows_that_the_length_was_not_chosen_on():
    seen = []

    def family(length):
        def profile(squared):
            seen.append(squared.shape)
            return torch.exp(-squared / (2 * length**2))

        return Kernel("watched", length, profile)

    measure = mmd(normal(30, 2, 0), normal(40, 2, 1), family=family, bandwidth="split", permutations=9)
    assert (measure.n_fake, measure.n_real) == (15, 20)
    assert measure.protocol["chosen_on"] == "15 and 20 other rows"
    assert seen[-1] == (35, 35)
    assert {shape[0] for shape in seen[:-2]} <= {30, 15, 1}


def test_split_prefers_the_length_at_which_the_laws_differ():
    def waves(seed, period):
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.integers(0, 8, 400) + period * rng.standard_normal(400))[:, None]

    fine = mmd(waves(0, 0.05), waves(1, 0.3), bandwidth="split", permutations=99, seed=1)  # 10 of 12 seeds agree
    coarse = mmd(normal(400, 1, 0, shift=0.5), normal(400, 1, 1), bandwidth="split", permutations=99)
    assert fine.protocol["bandwidth"] <= 0.6 * median_bandwidth(waves(0, 0.05), waves(1, 0.3))
    assert coarse.protocol["bandwidth"] >= 0.9 * median_bandwidth(normal(400, 1, 0), normal(400, 1, 1))


def test_aggregated_value_is_the_largest_standardised_one():
    q, p = normal(40, 3, 0, shift=0.2), normal(50, 3, 1)
    centre = median_bandwidth(q, p)
    many = torch.stack([mmd_permutations(q, p, rbf(f * centre), 50) for f in (0.25, 0.5, 1, 2, 4)])
    spread = (many - many.mean(1, keepdim=True)) / many.std(1, keepdim=True)
    measure = mmd(q, p, bandwidth="aggregated", permutations=50)
    assert measure.value == pytest.approx(spread[:, 0].max().item(), rel=1e-9)
    torch.testing.assert_close(measure.detail["null"], spread[:, 1:].amax(0), rtol=1e-9, atol=1e-9)


def test_energy_distance_is_the_mean_over_different_points():
    q, p = normal(20, 3, 0, shift=0.5), normal(30, 3, 1)
    within = sum(2 * torch.pdist(x).mean() for x in (q, p)) / 2
    measure = energy_distance(q, p, permutations=19)
    assert measure.value == pytest.approx((2 * torch.cdist(q, p).mean() - within).item(), rel=1e-9)
    assert energy_distance(3 * q, 3 * p, permutations=0).value == pytest.approx(3 * measure.value, rel=1e-9)
    assert (measure.floor, measure.protocol["kernel"]) == (0.0, "energy(1)")


def test_progress_ends_at_one():
    told = []
    mmd(normal(30, 2, 0), normal(40, 2, 1), permutations=9, budget=64 * 20**2, tick=told.append)
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == 1.0


def test_contradictory_settings_are_refused():
    q, p = normal(3, 2, 0), normal(3, 2, 1)
    with pytest.raises(UsageError, match="give its family"):
        mmd(q, p, kernel=rbf(1.0), bandwidth="split")
    with pytest.raises(UsageError, match="set permutations"):
        mmd(q, p, bandwidth="aggregated", permutations=0)
    with pytest.raises(DataError, match="draw more"):
        mmd(q, p, bandwidth="split")
