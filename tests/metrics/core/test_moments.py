"""One-pass moments: merging, offsets, order of blocks; streams and checks that hold no more than a block."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pushforward.errors import DataError
from pushforward.metrics.core.features import RAW, Features, of_module
from pushforward.metrics.core.moments import moments, ticking
from pushforward.metrics.core.reference import check_samples


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def exact_scatter(x):
    """Two passes in extended precision."""
    wide = x.numpy().astype(np.longdouble)
    deviations = wide - wide.mean(0)
    return torch.from_numpy((deviations.T @ deviations).astype(np.float64))


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor that any operation allocates meanwhile."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        held = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, torch.Tensor)}
        for part in out if isinstance(out, tuple | list) else [out]:
            if isinstance(part, torch.Tensor) and part.untyped_storage().data_ptr() not in held:
                self.bytes = max(self.bytes, part.untyped_storage().nbytes())
        return out


@pytest.mark.parametrize("seed", range(4))
def test_any_cutting_into_blocks_gives_the_moments_of_the_whole_far_from_the_origin(seed):
    x, rng = normal(2000, 12, seed, torch.linspace(0.1, 2, 12), 1e3), np.random.default_rng(seed)
    cuts = [0, *np.sort(rng.choice(np.arange(1, 2000), 17, replace=False)), 2000]
    parts = x.split([b - a for a, b in pairwise(cuts)])
    wanted = exact_scatter(x)
    merged = sum((moments(part) for part in parts[1:]), moments(parts[0]))
    for found in (moments(parts), moments(x), merged):
        assert found.n == 2000
        assert float((found.mean - x.mean(0)).norm() / x.mean(0).norm()) < 1e-14
        assert float((found.scatter - wanted).norm() / wanted.norm()) < 1e-11


def test_rows_one_by_one_and_a_first_row_far_off_lose_no_digits():
    x = normal(500, 6, 0)
    x[0] += 1e6
    found, wanted = moments(x.split(1)), exact_scatter(x)
    assert float((found.scatter - wanted).norm() / wanted.norm()) < 1e-13
    rest = moments(x[1:].split(1)).scatter
    assert float((rest - exact_scatter(x[1:])).norm() / rest.norm()) < 1e-13


def test_scatter_of_equal_rows_is_zero_and_always_symmetric_and_semi_definite():
    assert not moments(torch.full((100, 3), 0.1).split(7)).scatter.any()
    scatter = moments(normal(5, 9, 0, shift=1e4).split(2)).scatter
    assert torch.equal(scatter, scatter.T)
    assert float(torch.linalg.eigvalsh(scatter).min()) > -1e-9


def test_precision_of_the_input_is_kept_and_empty_blocks_are_passed_over():
    x = normal(300, 4, 0).float()
    found = moments([x[:0], x[:100], x[100:100], x[100:]])
    torch.testing.assert_close(found.scatter, exact_scatter(x.double()), rtol=1e-13, atol=1e-10)
    assert found.mean.dtype == torch.float64
    with pytest.raises(DataError, match="no rows"):
        moments(x[:0])
    with pytest.raises(DataError, match=r"covariance of 1 row"):
        _ = moments(x[:1]).covariance


def test_a_stream_holds_the_features_and_leaves_no_trace_between_blocks():
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    space, x = of_module("mine", network, 4), normal(50, 3, 0).float()
    blocks = []
    for block in space.stream(x, 8):
        assert network.training
        assert torch.is_grad_enabled()
        blocks.append(block)
    assert [len(block) for block in blocks] == [8] * 6 + [2]
    assert torch.equal(torch.cat(blocks), space(x, 8))
    rows = torch.tensor([3, 1, 49, 3])
    torch.testing.assert_close(torch.cat(list(space.stream(x, 3, rows))), space(x[rows]))


def test_a_stream_refuses_what_the_features_refuse():
    with pytest.raises(DataError, match=r"shape \(4, 3\), wanted \(4, 2\)"):
        next(Features("odd", "", 2, lambda x: x).stream(torch.zeros(4, 3)))
    stream = Features("log", "", 1, torch.log).stream(torch.tensor([[1.0], [2.0], [-1.0]]), 2)
    assert next(stream).shape == (2, 1)
    with pytest.raises(DataError, match="not finite"):
        next(stream)


def test_checks_and_moments_of_a_large_sample_allocate_no_more_than_a_block():
    x = normal(1, 200_000 + 64, 0)[0].float().as_strided((200_000, 64), (1, 1))  # sliding windows: 51 MB seen, 0.8 held
    with Largest() as largest:
        check_samples("fake", x)
        found = moments(RAW.stream(x))
    assert 0 < largest.bytes <= 2**22 < x.numel() * 4 / 10
    assert found.n == 200_000


def test_bad_rows_are_counted_wherever_they_are():
    x = torch.zeros(50_000, 30)
    x[7, 3], x[49_999, 29], x[7, 5] = torch.nan, torch.inf, torch.nan
    with pytest.raises(DataError, match="fake has 2 of 50000 samples with NaN or infinity"):
        check_samples("fake", x)


def test_ticks_rise_to_one_over_all_streams():
    shares = []
    read = ticking(shares.append, 30)
    for x in (torch.zeros(10, 2), torch.zeros(20, 2)):
        assert sum(len(block) for block in read(x.split(4))) == len(x)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares[2] == pytest.approx(1 / 3)
