"""Variational autoencoders: bounds that are what they say, exact where a model is linear and normal."""

from __future__ import annotations

import math
from functools import partial
from itertools import islice, product

import pytest
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam

from pushforward.codecs import PCA
from pushforward.densities.flows import FlowDensity, NormalisingFlow
from pushforward.densities.laws import Law, StandardNormal
from pushforward.densities.likelihoods.discrete import Bernoulli, Categorical, Levels
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.densities.likelihoods.normal import Normal
from pushforward.errors import UsageError
from pushforward.methods.latent.bounds import bounds
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.latent.vae import VAE, FromPosterior, VAESampling, drawn_levels
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.nets.variational.sides import Sides, convolutional, perceptrons
from pushforward.objectives.elbo import Parts, Weighting, doubly_reparametrised, elbo, importance_weighted
from pushforward.randomness import seeded, stream
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import HasCodes, Infers, KnowsPrior, able


def made(
    sides: Sides, likelihood: Likelihood, prior: Law, code: int, flow: NormalisingFlow | None = None
) -> LatentModel:
    return LatentModel(Encoder(sides.encoder, code), sides.decoder, likelihood, prior, flow)


class Reshaped(nn.Module):
    """A linear decoder, whose answers are one number each."""

    def __init__(self, code: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code, size)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z)[:, None]


class Fixed:
    """A method whose samples are all the same."""

    def learn(self, batches, start=0):
        yield from ()

    def sample(self, n, rng=None, labels=None) -> Tensor:
        return torch.full((n, 2), 7.0)


def linear(size: int, code: int, seed: int = 0) -> LatentModel:
    with seeded(seed):
        sides = Sides(nn.Linear(size, 2 * code), Reshaped(code, size))
        model = made(sides, Normal(), StandardNormal(code), code)
    return model.double()


def cross(n: int, code: int) -> Tensor:
    """Noise over which the mean of a quadratic function is its expectation, (2 code, n, code)."""
    points = math.sqrt(code) * torch.cat([torch.eye(code), -torch.eye(code)]).double()
    return points[:, None].expand(-1, n, -1)


def exact(model: LatentModel, x: Tensor) -> Tensor:
    """log p(x) of a linear model."""
    decoder = model.decoder
    assert isinstance(decoder, Reshaped)
    assert isinstance(model.likelihood, Normal)
    w, b, s = decoder.linear.weight, decoder.linear.bias, model.likelihood.log_deviation.exp()
    cov = w @ w.T + s.square() * torch.eye(len(w)).double()
    return torch.distributions.MultivariateNormal(b, cov).log_prob(x)


def test_a_linear_model_reaches_the_maximum_of_probabilistic_pca():
    torch.manual_seed(0)
    n, size, code = 2000, 5, 2
    mix = torch.randn(size, size).double()
    x = torch.randn(n, size).double() @ mix
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
    left = values[code:].mean()
    best = -0.5 * (size * math.log(2 * math.pi) + values[:code].log().sum() + (size - code) * left.log() + size)
    model = linear(size, code)
    e = cross(n, code)
    optimiser = LBFGS(model.parameters(), max_iter=500, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = -elbo(Parts(*model(x, e))).mean()
        loss.backward()
        return loss

    optimiser.step(closure)  # pyright: ignore[reportArgumentType]
    found = elbo(Parts(*model(x, e))).mean().detach()
    assert float(best - found) == pytest.approx(0, abs=1e-5)
    assert isinstance(model.decoder, Reshaped)
    assert isinstance(model.likelihood, Normal)
    assert float((2 * model.likelihood.log_deviation.detach()).exp()) == pytest.approx(float(left), rel=1e-3)
    gram = model.decoder.linear.weight.T @ model.decoder.linear.weight
    assert float((gram[0, 1].abs() / gram.diagonal().min()).detach()) < 1e-2  # a diagonal posterior turns the axes


def test_at_the_exact_posterior_every_weight_is_the_likelihood():
    model = linear(4, 1)
    w, b = model.decoder.linear.weight, model.decoder.linear.bias
    s = model.likelihood.log_deviation.exp()
    precision = 1 + w.square().sum() / s.square()
    encoder = model.encoder.net
    with torch.no_grad():
        encoder.weight[0] = w[:, 0] / s.square() / precision
        encoder.bias[0] = -encoder.weight[0] @ b
        encoder.weight[1], encoder.bias[1] = 0, -0.5 * precision.log()
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1)).double()
    e = torch.randn(3, 7, 1, generator=torch.Generator().manual_seed(2)).double()
    weights = Parts(*model(x, e)).weights
    assert torch.allclose(weights, exact(model, x).expand(3, -1), atol=1e-10)


@pytest.mark.parametrize("kind", ["maf", "nsf", "realnvp"])
def test_a_flow_prior_and_a_flow_posterior_are_one_model(kind):
    code, n = 4, 6
    with seeded(0):
        flow = NormalisingFlow(code, kind, steps=2, hidden=(16,))
        for parameter in flow.parameters():
            nn.init.normal_(parameter, std=0.2)
        sides = perceptrons((3,), code, 2 * code, 1, width=16, depth=1)

    class After(nn.Module):
        def forward(self, u: Tensor) -> Tensor:
            return sides.decoder(flow.inverse(u))

    one = made(sides, Normal(), FlowDensity(flow), code).double()
    other = made(Sides(sides.encoder, After()), Normal(), StandardNormal(code), code, flow).double()
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(n, 3, generator=generator).double(), torch.randn(5, n, code, generator=generator).double()
    assert torch.allclose(Parts(*one(x, e)).weights, Parts(*other(x, e)).weights, atol=1e-10)


def test_the_doubly_reparametrised_gradient_is_that_of_squared_shares():
    model = linear(3, 2)
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(6, 3, generator=generator).double(), torch.randn(5, 6, 2, generator=generator).double()
    parts = Parts(*model(x, e, True))
    (-importance_weighted(parts).mean()).backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    base = model.encoder.base(x)
    z = base.at(e)
    fixed = type(base)(base.mean.detach(), base.log_deviation.detach())
    again = Parts(model.likelihood_of(x, z), model.prior.log_prob(z), fixed.log_prob(z))
    encoder, decoder = list(model.encoder.parameters()), list(model.decoder.parameters())
    wanted = torch.autograd.grad(-doubly_reparametrised(again).mean(), encoder, retain_graph=True)
    plain = torch.autograd.grad(-importance_weighted(again).mean(), decoder)
    for got, want in zip((found["encoder.net.weight"], found["encoder.net.bias"]), wanted):
        assert torch.allclose(got, want, atol=1e-12)
    for got, want in zip((found["decoder.linear.weight"], found["decoder.linear.bias"]), plain):
        assert torch.allclose(got, want, atol=1e-12)
    with pytest.raises(UsageError, match="use importance"):
        made(Sides(model.encoder.net, model.decoder), Normal(), StandardNormal(2), 2, NormalisingFlow(2)).double()(
            x, e, True
        )


def vae(model: LatentModel, **more: object) -> VAE:
    learner = Learner(model, partial(Adam, lr=1e-2, fused=True), ema=0.9)
    return VAE(learner, stream(0, "train"), **more)  # pyright: ignore[reportArgumentType]


def test_probabilities_of_all_rows_sum_to_one():
    levels, event = Levels(3), (2,)
    with seeded(3):
        model = made(perceptrons(event, 2, 4, 3, width=8, depth=1), Categorical(levels), StandardNormal(2), 2)
        for parameter in model.decoder.parameters():
            nn.init.normal_(parameter, std=0.7)
        for parameter in model.encoder.parameters():
            nn.init.normal_(parameter, std=0.1)  # wider than the exact posterior, so that no weight is large
    method = vae(model, sampling=VAESampling(draws=20_000))
    x = torch.tensor(list(product([-1.0, 0.0, 1.0], repeat=2)))
    assert float(method.log_prob(x).exp().sum()) == pytest.approx(1, abs=0.02)


def test_blocks_of_rows_and_codes_do_not_change_a_likelihood(monkeypatch):
    method = vae(linear(3, 2).float(), sampling=VAESampling(draws=64))
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    whole = method.bounded(x)
    for numbers in (3 * 64 * 4, 3 * 16):  # four rows at a time; a row and 16 codes at a time
        monkeypatch.setattr("pushforward.methods.latent.bounds.NUMBERS", numbers)
        for one, other in zip(method.bounded(x), whole, strict=True):
            assert torch.allclose(one, other, rtol=1e-5)


def test_the_bound_of_a_row_is_the_same_beside_any_others_and_that_of_the_estimator(monkeypatch):
    method = vae(linear(3, 2).float())
    x = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(method.log_prob(x).flip(0), method.log_prob(x.flip(0)), rtol=1e-6)
    assert torch.allclose(method.log_prob(x)[4:5], method.log_prob(x[4:5]), rtol=1e-6)
    assert torch.equal(method.log_prob(x), bounds(method.model.sampler, x, 128)[0])


@pytest.mark.parametrize("draws", [1, 10, 16, 100, 250])
def test_a_likelihood_is_of_as_many_codes_as_it_says_and_its_sign_is_that_of_a_likelihood(draws):
    method = vae(linear(3, 2).float(), sampling=VAESampling(draws=draws))
    calls = list[int]()
    model = method.model.sampler
    assert isinstance(model, LatentModel)
    model.decoder.register_forward_hook(lambda _, given, __: calls.append(len(given[0])))
    near, far = method.log_prob(torch.stack([torch.zeros(3), torch.full((3,), 20.0)]))
    assert sum(calls) == 2 * draws
    assert near > far
    assert near < 0
    assert f"by {draws} codes" in method.protocol


def test_more_codes_give_a_higher_bound_below_the_exact_value():
    model = linear(4, 2).float()
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    method, known = vae(model), float(exact(model.double(), x.double()).mean().detach())
    model.float()
    found = list[float]()
    for draws in (1, 10, 1000):
        method.sampling = VAESampling(draws=draws)
        found.append(float(method.log_prob(x).mean()))
    assert found[0] < found[1] < found[2] < known + 0.01
    assert known - found[2] < 0.1 * (known - found[0])


@pytest.mark.parametrize(("angle", "collapses"), [(0.0, True), (math.pi / 4, False)])
def test_data_whose_numbers_are_independent_collapse_the_posterior_and_a_run_says_so(angle, collapses):
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0]) @ turn.T
    x = (x - x.mean(0)) / x.std(0)
    with seeded(0):
        model = made(perceptrons((2,), 2, 4, 1, width=32, depth=1), Normal((2,)), StandardNormal(2), 2)
    steps = 600
    learner = Learner(model, partial(Adam, lr=1e-2, fused=True), ema=0.9, schedule=cosine(steps))
    method = VAE(learner, stream(0, "train"))
    batches = (x[torch.randint(4000, (256,), generator=torch.Generator().manual_seed(k))] for k in range(steps))
    logs = list(method.learn(batches))
    said = method.remarks(steps)
    assert bool(said) == collapses
    assert all("collapsed" in words for words in said)
    assert (float(logs[-1]["active"]) == 0) == collapses
    rate = torch.stack([line["rate"] for line in logs[-100:]]).mean()
    assert (rate < 0.05) == collapses
    best = -(1 + math.log(2 * math.pi) + 0.5 * float(torch.corrcoef(x.T).logdet()))
    reached = torch.stack([line["elbo"] for line in logs[-100:]]).mean()
    assert float(reached) == pytest.approx(best, abs=0.06)


def test_a_weight_of_zero_on_the_rate_and_a_warm_up_are_not_the_bound():
    parts = Parts(*(torch.full((2, 3), value) for value in (-4.0, -2.0, -1.0)))
    assert float(Weighting(beta=0.5).loss(parts)) == pytest.approx(4.5)
    assert float(Weighting(free=3.0).loss(parts)) == pytest.approx(7.0)
    assert float(Weighting(warmup=3).loss(parts, 0)) == pytest.approx(4.25)


def test_levels_are_drawn_with_the_chance_of_their_intensity():
    x = torch.tensor([-1.0, -0.5, 0.0, 1.0]).expand(20_000, 4)
    drawn = drawn_levels(x, stream(0, "train"))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert torch.allclose(drawn.mean(0), x[0], atol=4 / math.sqrt(20_000))


def test_codes_of_the_aggregated_posterior_are_drawn_and_the_middle_is_not():
    model = linear(3, 2).float()
    with torch.no_grad():
        model.encoder.net.weight.zero_()
        model.encoder.net.bias.copy_(torch.tensor([1.0, -1.0, math.log(0.5), math.log(2.0)]))
    method = vae(model)
    x = torch.zeros(20_000, 3)
    codec = FromPosterior(vae(model), stream(0, "train", part="posterior"))
    z = codec.encode(x)
    assert torch.allclose(z.std(0), torch.tensor([0.5, 2.0]), rtol=0.03)
    middle = method.encode(x)
    assert torch.allclose(z.mean(0), middle[0], atol=0.06)
    assert bool((middle == middle[0]).all())
    assert not torch.equal(codec.encode(x), z)


def test_convolutions_answer_for_every_output_of_every_pixel():
    for event in ((1, 8, 8), (3, 16, 16)):
        with seeded(0):
            model = made(convolutional(event, 5, 10, 2, width=4, dense=16), Bernoulli(), StandardNormal(5), 5)
        assert model.decoded(torch.zeros(2, 5)).shape == (2, 2, *event)
        assert model.encoder.net(torch.zeros(2, *event)).shape == (2, 10)
    with pytest.raises(UsageError, match="use perceptrons"):
        convolutional((4,), 5, 10, 2)
    with pytest.raises(UsageError, match="give one of 3"):
        made(perceptrons((4,), 3, 6, 1), Normal(), StandardNormal(3), 3, NormalisingFlow(2))


def test_the_flow_of_a_posterior_hears_of_the_row():
    with seeded(0):
        flow = NormalisingFlow(2, "maf", steps=1, hidden=(8,), context=3)
        model = made(perceptrons((4,), 2, 7, 1, width=8, depth=1), Normal(), StandardNormal(2), 2, flow)
        for parameter in flow.parameters():
            nn.init.normal_(parameter, std=0.5)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    method = vae(model)
    logs = next(iter(islice(method.learn(iter([x])), 1)))
    assert all(math.isfinite(float(value)) for value in logs.values())
    assert flow.steps[0].hyper[0].weight.grad is not None


@pytest.mark.parametrize(("kind", "context", "name"), [(None, 0, "none"), ("maf", 0, "common"), ("maf", 3, "own")])
def test_an_account_of_codes_is_that_of_the_bound_and_the_middle_is_where_rows_are_encoded(kind, context, name):
    with seeded(0):
        flow = None if kind is None else NormalisingFlow(2, kind, steps=1, hidden=(8,), context=context)
        model = made(perceptrons((4,), 2, 4 + context, 1, width=8, depth=1), Normal(), StandardNormal(2), 2, flow)
        for parameter in () if flow is None else flow.parameters():
            nn.init.normal_(parameter, std=0.5)
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(6, 4, generator=generator), torch.randn(6, 2, generator=generator)
    method = vae(model)
    assert method.posterior_flow == name
    z, likelihood, own = method.inferred(x, e)
    parts = Parts(*model(x, e[None]))
    torch.testing.assert_close(likelihood, parts.likelihood[0])
    torch.testing.assert_close(method.log_prior(z), parts.prior[0])
    torch.testing.assert_close(own, parts.posterior[0])
    torch.testing.assert_close(method.inferred(x, torch.zeros_like(e))[0], method.encode(x))
    mean, log_deviation = method.base(x)
    z0 = mean + log_deviation.exp() * e
    torch.testing.assert_close(z, z0 if flow is None else flow(z0, model.encoder(x)[1])[0])


def test_a_prior_that_another_method_learns_has_codes_and_a_density_that_nobody_asks_for():
    method = vae(linear(3, 2).float())
    codec = FromPosterior(vae(linear(3, 2, seed=1).float()), stream(0, "train", part="posterior"))
    inside, plain = InCodeSpace(codec, Fixed()), InCodeSpace(PCA.fit(torch.randn(9, 3), 2), Fixed())
    for thing, wanted in ((method, (True, True, True)), (inside, (True, True, False)), (plain, (False,) * 3)):
        assert tuple(able(thing, kind) for kind in (Infers, HasCodes, KnowsPrior)) == wanted
    x, e = torch.randn(5, 3), torch.zeros(5, 2)
    for got, want in zip(inside.inferred(x, e), codec.vae.inferred(x, e), strict=True):
        assert torch.equal(got, want)
    assert torch.equal(inside.base(x)[0], codec.vae.base(x)[0])
    assert (inside.posterior_flow, inside.discrete) == ("none", False)
    assert torch.equal(inside.prior_codes(4, stream(0, "sample")), torch.full((4, 2), 7.0))
    with pytest.raises(UsageError, match="a PCA has one code for a row"):
        plain.base(x)
