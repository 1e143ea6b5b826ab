"""Principal components: those of scikit-learn, an isometry, the least squared error, an exact Lipschitz constant."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn import decomposition
from torch import Tensor

from pushforward.codecs import PCA, Codec, parse, reconstruction
from pushforward.dynamics.mobility import lipschitz_constant
from pushforward.errors import UsageError
from pushforward.randomness import Noise
from pushforward.training.state import load_state, weights


def cloud(n: int, d: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing + 5


@pytest.mark.parametrize(("n", "d"), [(90, 12), (12, 90)], ids=["tall", "wide"])
@pytest.mark.parametrize("block", [5, 4096])
def test_components_and_variances_are_those_of_scikit_learn(n, d, block):
    x = cloud(n, d)
    codec = PCA.fit(x, 4, block=block)
    wanted = decomposition.PCA(4, svd_solver="full").fit(x.numpy())
    agreement = (codec.components @ torch.from_numpy(wanted.components_).T).abs()
    torch.testing.assert_close(agreement, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-8)
    torch.testing.assert_close(codec.variances * n / (n - 1), torch.from_numpy(wanted.explained_variance_))
    assert float(codec.explained) == pytest.approx(wanted.explained_variance_ratio_.sum())
    torch.testing.assert_close(codec.encode(x).square().mean(0), codec.variances)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_decoding_a_code_gives_the_nearest_point_of_the_plane_and_coding_it_again_the_code(standardise, unit):
    x = cloud(50, 7) * torch.arange(1, 8)
    codec = PCA.fit(x, 3, standardise=standardise, unit=unit)
    z = codec.encode(x)
    torch.testing.assert_close(codec.encode(codec.decode(z)), z)
    torch.testing.assert_close(z.mean(0), torch.zeros(3, dtype=x.dtype), rtol=0, atol=1e-9)
    if unit:
        assert float(z.square().mean()) == pytest.approx(1.0)
    lost = ((x - codec.decode(z)) / codec.scale).square().sum(1).mean()
    total = ((x - x.mean(0)) / codec.scale).square().sum(1).mean()
    assert float(lost / total) == pytest.approx(1 - float(codec.explained))


def test_without_scales_the_decoder_is_an_isometry():
    codec = PCA.fit(cloud(40, 6), 3)
    a, b = torch.randn(2, 10, 3, dtype=torch.float64)
    torch.testing.assert_close((codec.decode(a) - codec.decode(b)).norm(dim=1), (a - b).norm(dim=1))
    assert codec.lipschitz == pytest.approx(1.0)


def test_lipschitz_constant_is_that_of_the_decoder_and_at_most_the_largest_scale():
    x = cloud(60, 8) * torch.logspace(-1, 1, 8)
    codec = PCA.fit(x, 3, standardise=True, unit=True)
    z = torch.randn(4, 3, dtype=torch.float64)
    assert lipschitz_constant(codec.decode, z, Noise(0), iterations=500) == pytest.approx(codec.lipschitz, rel=1e-8)
    assert codec.lipschitz <= float(codec.unit * codec.scale.max())
    whole = PCA.fit(x, 8, standardise=True)
    assert whole.lipschitz == pytest.approx(float(whole.scale.max()))


def test_all_components_reconstruct_images_and_their_columns_that_never_vary():
    x = torch.randn(200, 1, 4, 4)
    x[:, 0, 0, 0] = 3.0
    codec = PCA.fit(x, 15, standardise=True)
    torch.testing.assert_close(codec.decode(codec.encode(x)), x, rtol=0, atol=1e-5)
    assert reconstruction(codec, x) < 1e-4
    with pytest.raises(UsageError, match="the data vary in 15 directions"):
        PCA.fit(x, 16)


def test_mean_distance_of_reconstructions_is_in_data_units():
    x = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    assert reconstruction(PCA.fit(x, 1), x) == pytest.approx(1.0)  # the second axis is lost: 0, 0, 2, 2


def test_a_codec_is_part_of_a_methods_weights():
    one, other = PCA.fit(cloud(40, 6), 2), PCA.fit(cloud(30, 6), 2)
    load_state(other, weights(one))
    assert torch.equal(other.components, one.components)
    assert isinstance(one, Codec)
    assert one.budget.startswith("PCA of 40 rows, ")


def test_codecs_are_named_by_kind_and_size():
    assert parse("pca:20") == ("pca", 20)
    assert parse(" autoencoder:16") == ("autoencoder", 16)
    for wrong in ("pca", "pca:0", "pca:-2", "ica:3", "autoencoder:", "pca:2.5"):
        with pytest.raises(UsageError, match="use pca:K or autoencoder:K"):
            parse(wrong)


def test_too_large_a_code_is_refused():
    with pytest.raises(UsageError, match="a code of 6 numbers: 6 rows of 9 numbers allow 1 to 5"):
        PCA.fit(torch.randn(6, 9), 6)
    assert math.isfinite(PCA.fit(torch.randn(6, 9), 5).lipschitz)
