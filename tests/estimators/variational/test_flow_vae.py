"""Laws of `FlowVAE`: exact likelihoods where the model is right, units, samples, codes, where a bound goes, images."""

from __future__ import annotations

import doctest
import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import make_moons
from sklearn.decomposition import FactorAnalysis
from sklearn.metrics import average_precision_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import Tensor, nn

from pushforward import FlowVAE
from pushforward.densities.aggregate import surgery
from pushforward.densities.flows import FlowDensity, NormalisingFlow
from pushforward.densities.laws import StandardNormal
from pushforward.densities.likelihoods.normal import Normal
from pushforward.errors import DataError
from pushforward.estimators.variational import vae as module
from pushforward.estimators.variational.work import account
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.nets.variational.sides import perceptrons
from pushforward.randomness import seeded, stream

ROWS = 8000
WIDTHS, MEAN = np.array([0.5, 1.0, 2.0, 0.1, 4.0]), np.array([3.0, 0.0, -20.0, 1.0, 100.0])
AXES = np.random.default_rng(0).normal(size=(2, 5)) * np.array([1.0, 2.0, 3.0, 0.1, 10.0])


def factors(n: int, seed: int) -> np.ndarray:
    """Rows of a factor model with two factors and a width for each column."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ AXES + rng.normal(size=(n, 5)) * WIDTHS + MEAN


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(**changes) -> FlowVAE:
    given = {"steps": 5, "batch_size": 32, "width": 16, "depth": 1, "prior": "normal", "likelihood_draws": 16}
    return FlowVAE(**given | {"random_state": 0} | changes)


@pytest.fixture(scope="module")
def moons():
    return make_moons(200, noise=0.05, random_state=0)[0]


@pytest.fixture(scope="module")
def right() -> FlowVAE:
    x = factors(ROWS, 1)
    return FlowVAE(2, prior="normal", steps=1000, width=32, depth=1, lr=5e-3, random_state=0).fit(x)


@parametrize_with_checks([small(steps=2, batch_size=8, width=8, likelihood_draws=4)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_the_example_of_the_docstring_holds():
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


# Likelihoods


def test_the_score_of_a_linear_normal_law_is_the_likelihood_of_the_best_factor_model(right):
    y = factors(2000, 2)
    best = FactorAnalysis(2, tol=1e-4, svd_method="lapack").fit(factors(ROWS, 1)).score(y)
    assert right.score(y) == pytest.approx(best, abs=0.02)


def test_samples_where_the_model_is_right_have_the_mean_and_the_covariance_of_the_data(right):
    n = 2000
    x, cov = right.sample(n, 1), AXES.T @ AXES + np.diag(WIDTHS**2)
    share = 1 / n + 1 / ROWS  # drawn, and learned from
    assert (np.abs(x.mean(0) - MEAN) < 4 * np.sqrt(np.diag(cov) * share)).all()
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) * share)
    assert (np.abs(np.cov(x.T) - cov) < 4 * error).all()


def test_densities_move_with_the_units_of_the_data(moons):
    unit, shift = np.array([3.7, 0.02]), np.array([-5.0, 100.0])
    here, there = small(steps=30).fit(moons), small(steps=30).fit(unit * moons + shift)
    found = there.score_samples(unit * moons + shift)
    np.testing.assert_allclose(found, here.score_samples(moons) - math.log(3.7 * 0.02), atol=1e-4)
    np.testing.assert_allclose(there.sample(50, 1), unit * here.sample(50, 1) + shift, rtol=0, atol=1e-3)
    with_units = there.account(unit * moons + shift)
    assert with_units.reconstruction == pytest.approx(here.account(moons).reconstruction - math.log(0.074), abs=1e-4)


def test_a_density_of_one_column_integrates_to_one():
    x = np.random.default_rng(0).normal(3.0, 0.5, (500, 1))
    model, grid = small(steps=100, likelihood_draws=500).fit(x), np.linspace(-2, 8, 1000)
    assert np.trapezoid(np.exp(model.score_samples(grid[:, None])), grid) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic", "mixture", "categorical"])
def test_probabilities_of_all_images_sum_to_one(likelihood):
    count = 2 if likelihood == "bernoulli" else 3
    x = np.random.default_rng(0).integers(0, count, (100, 2, 2))
    model = small(likelihood=likelihood, code=2, likelihood_draws=20_000).fit(x)
    every = np.array(list(product(range(count), repeat=4))).reshape(-1, 2, 2)
    assert np.exp(model.score_samples(every)).sum() == pytest.approx(1, abs=0.01)


def test_a_likelihood_of_a_row_does_not_depend_on_the_rows_beside_it(moons):
    model = small(likelihood_draws=5).fit(moons)
    found = model.score_samples(moons[:20])
    np.testing.assert_allclose(model.score_samples(moons[19::-1])[::-1], found, rtol=1e-9)
    np.testing.assert_allclose([model.score_samples(row[None])[0] for row in moons[:4]], found[:4], rtol=1e-9)


def test_blocks_of_rows_and_of_codes_change_no_likelihood(moons, monkeypatch):
    model = small().fit(moons)
    whole, way = model.score_samples(moons), model.account(moons)
    monkeypatch.setattr("pushforward.estimators.variational.work.NUMBERS", 14)  # 7 of the 16 codes of a row at a time
    np.testing.assert_allclose(model.score_samples(moons), whole, rtol=1e-9)
    assert model.account(moons).elbo == pytest.approx(way.elbo, rel=1e-6)


def test_the_bound_closes_to_the_density_of_a_linear_model_whatever_its_encoder():
    x = factors(500, 0)
    model = small(depth=0, steps=40, lr=2e-2, code=2).fit(x)
    decoder, law = model.net_.decoder, model.net_.likelihood
    (linear,) = [part for part in decoder.modules() if isinstance(part, nn.Linear)]
    assert isinstance(law, Normal)
    w, b, s = (each.detach().double().numpy() for each in (linear.weight, linear.bias, law.log_deviation.exp()))
    unit = model.unit_
    mean, root = unit.decode(torch.from_numpy(b)), w * unit.scale[:, None]
    exact = multivariate_normal(mean, root @ root.T + np.diag((s * unit.scale) ** 2)).logpdf(x[:200])
    found = [model.set_params(likelihood_draws=k).score_samples(x[:200]) for k in (1, 64, 20_000)]
    np.testing.assert_allclose(found[2], exact, atol=0.1)
    gaps = [float((exact - each).mean()) for each in found]
    assert gaps[0] > 0.1
    assert abs(gaps[1]) < 0.03
    assert abs(gaps[2]) < 0.003


@pytest.mark.parametrize("prior", ["normal", "maf", "nsf"])
def test_what_lies_far_has_a_small_likelihood_or_none_and_never_no_number(prior, moons):
    x = np.array([[0.0, 0.0], [1e3, 0.0], [1e12, -1e12], [1e30, 1.0], [1e300, 0.0]])
    found = small(prior=prior, posterior="maf").fit(moons).score_samples(x)
    assert not np.isnan(found).any()
    assert found[0] > -20
    assert (found[1:] < -1e3).all()
    assert found[-1] == -np.inf


def test_a_column_that_does_not_vary_comes_back_and_counts_for_nothing(moons):
    x = np.insert(moons, 1, 0.1, axis=1)
    model, plain = small().fit(x), small().fit(moons)
    np.testing.assert_array_equal(model.sample(20, 0), np.insert(plain.sample(20, 0), 1, 0.1, axis=1))
    assert model.notes_[0] == "columns that do not vary come back as they are: 1"
    np.testing.assert_array_equal(model.score_samples(x), plain.score_samples(moons))
    x[3, 1] = 0.2
    assert np.flatnonzero(model.score_samples(x) == -np.inf).tolist() == [3]
    with pytest.raises(DataError, match="row 3 has no likelihood"):
        model.account(x)


def test_rows_whose_columns_belong_to_different_rows_are_found_by_their_likelihood():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(3000, 6))
    odd = rng.permutation(len(x))[:30]
    x[odd] = np.column_stack([rng.permutation(x[odd, k]) for k in range(6)])
    model = FlowVAE(2, prior="normal", steps=600, width=32, depth=1, lr=5e-3, likelihood_draws=32, random_state=0)
    found = average_precision_score(np.isin(np.arange(len(x)), odd), -model.fit(x).score_samples(x))
    assert found > 0.6  # chance: 0.01


# Codes


def test_reconstructions_are_what_codes_are_decoded_to(right):
    x = factors(200, 5)
    z = right.encode(x)
    assert z.shape == (200, 2)
    np.testing.assert_array_equal(right.reconstruct(x), right.decode(z))
    left = (x - right.reconstruct(x)).std(0)
    assert (left < 1.2 * WIDTHS).all()


def test_codes_of_a_flow_posterior_decode_to_what_it_says():
    x = factors(300, 0)
    model = small(steps=60, posterior="maf", lr=5e-3).fit(x)
    np.testing.assert_array_equal(model.reconstruct(x), model.decode(model.encode(x)))
    assert np.isfinite(model.score(x))


def test_codes_of_another_shape_and_rows_beyond_the_nets_are_refused_in_one_line(moons):
    model = small().fit(moons)
    for z, message in (
        (np.zeros((3, 5)), r"Z has shape \(3, 5\): give codes \(n, 2\)"),
        (np.zeros(2), r"Z has shape \(2,\)"),
        ([["a", "b"]], "no number"),
        ([[0.0, 0.0], [np.nan, 0.0]], r"Z\[1\] holds NaN"),
        ([[0.0, 0.0], [1e200, 1e200]], "code 1 stands for no numbers"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            model.decode(z)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="row 1 lies so far"):
        model.encode([[0.0, 0.0], [1e300, 0.0]])


# Where a bound goes


def test_what_a_bound_is_made_of_adds_up_and_lies_below_the_likelihood(right):
    x = factors(1000, 2)
    found = right.account(x)
    assert found.elbo == pytest.approx(found.reconstruction - found.information - found.marginal, abs=1e-9)
    assert found.elbo < right.score(x) + 3 * found.elbo_error
    assert 0 < found.information < math.log(1000)
    # of a factor model: 1/2 log det(I + W S^-2 W'), half a nat lost by what n = 1000 laws cannot tell
    exact = 0.5 * np.linalg.slogdet(np.eye(2) + (AXES / WIDTHS**2) @ AXES.T)[1]
    assert found.information == pytest.approx(exact, abs=0.3)
    assert abs(found.marginal) < 0.05
    assert found.active == 2
    assert 100 < found.effective <= 128


def test_no_code_of_coins_is_shorter_than_their_entropy_and_one_that_learned_is_next_to_it():
    coins = np.random.default_rng(0).integers(0, 2, (3000, 4, 4)).astype(np.uint8)
    model = FlowVAE(code=2, steps=300, width=32, random_state=0).fit(coins[:1500])
    found = model.account(coins[1500:])
    assert found.bits_back == pytest.approx(-found.elbo / (16 * math.log(2)), rel=1e-12)
    error = found.elbo_error / (16 * math.log(2))
    assert 1 - 3 * error < found.bits_back < 1.05


def test_rows_of_a_continuum_have_no_code_of_bits(right):
    assert right.account(factors(50, 2)).bits_back is None


def test_the_account_is_the_surgery_of_the_bound(right):
    x, _ = right._seen(factors(100, 2))
    net = right._placed(x.dtype)
    found = account(net, x, 4, 0.0)
    base, _ = net.encoder(x)
    e = stream(0, "evaluate", part="account").normal(len(x), 2).to(x)
    with torch.no_grad():
        z = base.at(e)
        parts = surgery(base, net.prior.log_prob(z), z, base.log_prob(z))
    assert found.information == pytest.approx(parts.information, abs=1e-9)
    assert found.marginal == pytest.approx(parts.marginal, abs=1e-9)
    assert found.marginal_error == pytest.approx(parts.error, abs=1e-9)


def test_a_flow_prior_and_a_flow_posterior_of_one_model_have_one_account():
    with seeded(0):
        flow = NormalisingFlow(3, "maf", steps=2, hidden=(16,))
        for parameter in flow.parameters():
            nn.init.normal_(parameter, std=0.2)
        sides = perceptrons((4,), 3, 6, 1, width=16, depth=1)
        encoder = Encoder(sides.encoder, 3)

    class After(nn.Module):
        def forward(self, u: Tensor) -> Tensor:
            return sides.decoder(flow.inverse(u))

    one = LatentModel(encoder, sides.decoder, Normal(), FlowDensity(flow)).double()
    other = LatentModel(encoder, After(), Normal(), StandardNormal(3), flow).double()
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    a, b = account(one, x, 8, 1.5), account(other, x, 8, 1.5)
    for name in ("elbo", "reconstruction", "information", "marginal", "marginal_error", "effective"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-6), name
    assert account(one, x, 8, 0.0).elbo == pytest.approx(a.elbo - 1.5, abs=1e-9)


def test_codes_that_tell_nothing_are_counted_and_said():
    x = np.random.default_rng(0).normal(size=(2000, 3))
    model = small(steps=400, lr=1e-2, depth=0, code=2, beta=20.0).fit(x)
    assert "the posterior has collapsed" in model.notes_[-1]
    found = model.account(x)
    assert found.active == 0
    assert abs(found.information) < 0.02
    assert model.score(x) == pytest.approx(-1.5 * math.log(2 * math.pi * math.e), abs=0.05)


# Images


@pytest.mark.parametrize("event", [(8, 8), (1, 6, 6), (3, 8, 8), (10, 10)], ids=str)
def test_images_keep_their_shape_and_their_levels(event):
    x = np.random.default_rng(0).integers(0, 17, (40, *event))
    model = small(width=8, code=3).fit(x)
    drawn = model.sample(6, 0)
    assert drawn.shape == (6, *event)
    assert set(drawn.ravel()) <= set(range(17))
    assert model.reconstruct(x[:2]).shape == model.decode(np.zeros((2, 3))).shape == (2, *event)
    assert (model.score_samples(x[:3]) < 0).all()
    assert math.isfinite(model.account(x).elbo)
    with pytest.raises(ValueError, match="but fit saw"):
        model.score(np.zeros((2, *event, 2)).reshape(2, event[0], -1))


def test_a_density_of_images_is_one_in_their_own_units():
    x = np.random.default_rng(0).random((60, 4, 4))
    here, there = (small(likelihood="normal").fit(scale * x) for scale in (1, 100))
    np.testing.assert_allclose(there.score_samples(100 * x), here.score_samples(x) - 16 * math.log(100), atol=1e-2)
    assert here.sample(20, 0).min() >= x.min()


def test_what_codes_tell_lowers_the_cost_of_images():
    rng = np.random.default_rng(0)
    rows = rng.random((500, 1, 1)) < 0.5
    x = np.where(rng.random((500, 4, 4)) < 0.05, ~rows, rows)  # all black or all white, a twentieth of pixels wrong
    model = small(steps=600, width=32, lr=5e-3, code=1, prior="mixture", components=2, likelihood_draws=64).fit(x)
    exact = 16 * (0.05 * math.log(0.05) + 0.95 * math.log(0.95)) - math.log(2)
    assert model.score(x) == pytest.approx(exact, abs=0.25)  # by one law for all pixels it is -16 log 2 = -11.1
    assert model.account(x).information == pytest.approx(math.log(2), abs=0.1)
