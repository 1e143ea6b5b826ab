"""The learned kernel: a kernel, better than it began, apart from the rows tested."""

import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test, learn_kernel
from pushforward.metrics.two_sample.kernel import mmd
from pushforward.metrics.two_sample.quadratic import signal_to_noise


def blobs(n, seed, correlated):
    """Nine Gaussians on a grid; where correlated, each is turned and stretched its own way."""
    rng = np.random.default_rng(seed)
    mode, noise = rng.integers(0, 9, n), rng.standard_normal((n, 2))
    if correlated:
        rho = np.linspace(-0.9, 0.9, 9)[mode]
        noise[:, 1] = rho * noise[:, 0] + (1 - rho**2) ** 0.5 * noise[:, 1]
    return torch.from_numpy(np.stack([mode // 3, mode % 3], 1) + 0.17 * noise)


def normal(n, dim, seed, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def quality(kernel, q, p):
    n, pool = len(q), kernel.embed(torch.cat([q, p]))
    k = kernel.matrix(pool, pool)
    one = k.diagonal()
    to_q, to_p = k[:, :n].sum(1), k[:, n:].sum(1)
    return float(signal_to_noise(to_q[:n] - one[:n], to_p[n:] - one[n:], to_p[:n], to_q[n:], 1.0))


def test_the_learned_matrix_is_that_of_a_kernel():
    kernel = learn_kernel(normal(40, 3, 0), normal(50, 3, 1, 0.5), steps=20)
    pool = kernel.embed(normal(30, 3, 2))
    matrix = kernel.matrix(pool, pool)
    assert matrix.dtype == torch.float64
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(30, dtype=torch.float64))
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12
    assert 0 < matrix.min() < matrix.max() < 1 + 1e-12


@pytest.mark.slow
def test_learning_raises_the_signal_to_noise_on_fresh_rows():
    gains = []
    for seed in (0, 4):
        q, p, x, y = (blobs(n, seed + k, k % 2 == 0) for k, n in enumerate((256, 256, 600, 600)))
        gains.append([quality(learn_kernel(q, p, steps=steps), x, y) for steps in (0, 200)])
    before, after = np.mean(gains, 0)
    assert before < 0.02 < after


@pytest.mark.slow
def test_it_sees_what_one_length_for_all_modes_does_not():
    pairs = [(blobs(1000, seed, True), blobs(1000, seed + 1, False)) for seed in (10, 20)]
    assert min(deep_kernel_test(q, p, permutations=99).p for q, p in pairs) <= 0.025  # of two
    assert min(mmd(q, p, permutations=99).p for q, p in pairs) > 0.2


def test_a_clear_shift_gets_the_smallest_p_value_from_unequal_samples():
    measure = deep_kernel_test(normal(90, 3, 0, 0.8), normal(140, 3, 1), steps=30, permutations=49)
    assert measure.p == 1 / 50
    assert measure.value > measure.protocol["null_95"] > 0
    assert (measure.n_fake, measure.n_real, measure.floor) == (45, 70, 0.0)
    assert measure.protocol["chosen_on"] == "45 and 70 other rows"


def test_a_seed_gives_the_same_numbers_whatever_the_global_generator_does():
    q, p = normal(60, 2, 0), normal(300, 2, 1)
    torch.manual_seed(1)
    first, state = deep_kernel_test(q, p, steps=10, seed=3), torch.get_rng_state()
    torch.manual_seed(2)
    assert first == deep_kernel_test(q, p, steps=10, seed=3)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    assert first.value != deep_kernel_test(q, p, steps=10, seed=4).value


def test_a_constant_column_and_units_do_not_matter():
    q, p = normal(60, 2, 0, 0.3), normal(60, 2, 1)
    plain = deep_kernel_test(q, p, steps=10, permutations=49)
    scaled = deep_kernel_test(1000 * q + 7, 1000 * p + 7, steps=10, permutations=49)
    assert scaled.value == pytest.approx(plain.value, rel=1e-2)
    wide = deep_kernel_test(*(torch.cat([x, torch.ones(60, 1)], 1) for x in (q, p)), steps=10)
    assert np.isfinite(wide.value)


def test_progress_ends_at_one_and_unusable_settings_are_refused():
    told = []
    deep_kernel_test(normal(20, 2, 0), normal(20, 2, 1), steps=5, permutations=5, tick=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(UsageError, match="train_fraction is 0"):
        deep_kernel_test(normal(20, 2, 0), normal(20, 2, 1), train_fraction=0.0)
    with pytest.raises(DataError, match="draw more"):
        deep_kernel_test(normal(3, 2, 0), normal(20, 2, 1))
