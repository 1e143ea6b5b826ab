"""Restorations of a normal law and of mixtures, whose moments are known for every strategy and any number of steps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from dynamics.editing.linear import moments

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.dynamics.editing import (
    Fixed,
    Fresh,
    Guidance,
    LinearProjection,
    Resample,
    conditional_mixture,
    restore,
    strategy,
)
from pushforward.dynamics.sde.levels import ancestral, euler_maruyama, linear_variance, power
from pushforward.errors import UsageError
from pushforward.randomness import Noise

VARIANCE, KNOWN = 0.0625, LinearProjection.mask(torch.tensor([1, 0]))
Y = torch.tensor([1.0, 0.0]).double()
STRATEGIES = {"fixed": Fixed(), "fresh": Fresh(), "resample": Resample(10)}


def covariance(rho: float) -> torch.Tensor:
    return VARIANCE * torch.tensor([[1.0, rho], [rho, 1.0]]).double()


def denoiser(cov: torch.Tensor):
    eye = torch.eye(len(cov)).double()
    return lambda x, s: x @ torch.linalg.solve(cov + s * s * eye, cov)


def exact(rho: float):
    mixture = Mixture(torch.zeros(1, 2).double(), covariance(rho)[None], torch.ones(1).double())
    return MixtureFollmer.of(conditional_mixture(mixture, KNOWN, Y), tau=2.0, sigma=1.0).denoised


def recursion(kind: str, rho: float, steps: int, euler: bool = True) -> tuple[float, float]:
    """Mean and variance of the unknown number: those of (x1, x2, n) through every step, and nothing of the library."""
    mean, eye = torch.tensor([1.0, 0.0, 0.0]).double(), torch.eye(3).double()
    cov = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]]).double()
    for k in range(steps):
        s2, u2 = 1 - k / steps, 1 - (k + 1) / steps
        move = eye.clone()
        move[:2, :2] -= (1 - u2 / s2) * s2 * torch.linalg.inv(covariance(rho) + s2 * eye[:2, :2])
        noise = (s2 - u2) * (1 if euler else u2 / s2) * torch.diag(torch.tensor([1.0, 1, 0])).double()
        for cycle in range(10 if kind == "resample" else 1):
            if cycle:
                cov = cov + (s2 - u2) * torch.diag(torch.tensor([1.0, 1, 0])).double()
            put = torch.diag(torch.tensor([0.0, 1, 1])).double()
            put[0, 2] = math.sqrt(u2) if kind == "fixed" else 0
            mean = put @ move @ mean + torch.tensor([1.0, 0, 0]).double()
            cov = put @ (move @ cov @ move.mT + noise) @ put.mT
            cov[0, 0] += 0 if kind == "fixed" else u2
    return float(mean[1]), float(cov[1, 1])


PUBLISHED = {
    ("fixed", 0.9): (0.619, 0.0263), ("fresh", 0.9): (0.619, 0.0204), ("resample", 0.9): (0.872, 0.0135),
    ("fixed", 0.5): (0.266, None), ("fresh", 0.5): (0.266, None), ("resample", 0.5): (0.460, None),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "rho"), PUBLISHED)
def test_replacing_is_biased_by_what_its_recursion_says(kind, rho):
    mean, variance = recursion(kind, rho, 1000)
    wanted, spread = PUBLISHED[kind, rho]
    assert mean == pytest.approx(wanted, abs=5e-4)
    assert spread is None or variance == pytest.approx(spread, abs=5e-5)


@pytest.mark.parametrize("kind", STRATEGIES)
@pytest.mark.parametrize("euler", [True, False], ids=["Euler-Maruyama", "ancestral"])
def test_every_step_of_a_restoration_is_that_of_the_recursion(kind, euler):
    steps, rho = 40, 0.9
    step = euler_maruyama if euler else ancestral

    def sampler(n, rng):
        return restore(denoiser(covariance(rho)), KNOWN, Y.expand(n, 2), linear_variance(steps, 1.0), rng,
                       strategy=STRATEGIES[kind], step=step)  # fmt: skip

    draws = {"fixed": 1 + steps, "fresh": 1 + 2 * steps, "resample": 1 + 29 * steps}[kind]
    mean, cov = moments(sampler, 2, draws)
    wanted = recursion(kind, rho, steps, euler)
    assert (float(mean[1]), float(cov[1, 1])) == pytest.approx(wanted, rel=1e-10)
    assert float(mean[0]) == 1
    assert float(cov[0].abs().max()) == 0


@pytest.mark.parametrize(("rho", "wanted", "spread"), [(0.9, 0.889, 0.0124), (0.5, 0.478, None)])
def test_the_exact_denoiser_given_what_is_known_has_the_published_law(rho, wanted, spread):
    def sampler(n, rng):
        levels = linear_variance(1000, 1.0)
        return restore(exact(rho), KNOWN, Y.expand(n, 2), levels, rng, strategy=Fixed(), step=euler_maruyama)

    mean, cov = moments(sampler, 2, 1001)
    assert float(mean[1]) == pytest.approx(wanted, abs=5e-4)
    assert spread is None or float(cov[1, 1]) == pytest.approx(spread, abs=5e-5)
    rest = VARIANCE * (1 - rho**2)
    begun_at_zero = rho * (1 - rest / (rest + 1))  # what is left of a start at N(0, 1) in place of the smoothed data
    assert float(mean[1]) == pytest.approx(begun_at_zero, abs=2e-3)


def test_guidance_is_exact_where_the_data_are_normal_and_one_number_is_known():
    n, levels, cov = 300, power(30, 3.0, 0.01), covariance(0.8)
    exactly, guided = (
        restore(how, KNOWN, Y.expand(n, 2), levels, Noise(0, dtype=torch.float64), strategy=by)
        for how, by in ((exact(0.8), None), (denoiser(cov), Guidance()))
        for by in (by or Alone(),)
    )
    torch.testing.assert_close(guided, exactly, rtol=0, atol=1e-9)
    half = restore(denoiser(cov), KNOWN, Y.expand(n, 2), levels, Noise(0, dtype=torch.float64), strategy=Guidance(0.5))
    assert float(half[:, 1].mean()) < 0.75 * float(guided[:, 1].mean())


class Alone:
    """A strategy from outside: nothing is put in, as the denoiser knows what is known."""

    def __call__(self, task, x, s, u):
        return task.down(x, task.denoiser(x, s), s, u)


def test_many_known_numbers_pull_the_others_by_every_strategy_and_most_by_those_that_listen():
    """A mixture of a random covariance: distances of the mean to the exact one, in units of its distance from none."""
    rng = torch.Generator().manual_seed(4)
    root = torch.randn(6, 6, generator=rng).double() / 3
    mixture = Mixture(
        torch.zeros(1, 6).double(), (root @ root.mT + 0.05 * torch.eye(6).double())[None], torch.ones(1).double()
    )
    known = LinearProjection.mask(torch.tensor([1, 1, 0, 0, 1, 0]))
    y = torch.from_numpy(mixture.sample(1, rng).numpy()).double()
    truth = conditional_mixture(mixture, known, y[0]).means[0]
    free = MixtureFollmer.of(mixture, tau=2.0, sigma=1.0).denoised
    off = {}
    for name, by in {**STRATEGIES, "guidance": Guidance()}.items():
        x = restore(free, known, y.expand(4000, 6), power(30, 5.0, 0.02), Noise(1, dtype=torch.float64), strategy=by)
        off[name] = float((x.mean(0) - truth).norm() / truth[known.seen.logical_not()].norm())
        assert torch.equal(x[:, known.seen], y.expand(4000, 6)[:, known.seen])
    assert off["resample"] < 0.6 * off["fresh"] < 0.6
    assert off["guidance"] < off["fresh"]


def test_the_law_given_a_part_is_that_of_the_joint_density():
    mixture = Mixture.of([[-1.0, 0.5, 0.0], [0.6, -0.2, 0.3]], weights=[0.3, 0.7],
                         covariances=[[[0.3, 0.1, 0], [0.1, 0.2, 0.05], [0, 0.05, 0.1]],
                                      [[0.2, -0.1, 0], [-0.1, 0.4, 0], [0, 0, 0.3]]])  # fmt: skip
    y = torch.tensor([0.2, -0.4, 0.1]).double()
    eye, grid = torch.eye(3).double(), torch.linspace(-8, 8, 401, dtype=torch.float64)
    for seen in ([1, 1, 0], [0, 1, 0]):
        projection = LinearProjection.mask(torch.tensor(seen))
        law, free = conditional_mixture(mixture, projection, y), eye[~projection.seen]
        at = torch.cartesian_prod(*len(free) * [grid]).view(-1, len(free)) @ free + projection.known(y[None])
        density = mixture.log_prob(at).exp()
        mass = density / density.sum()
        mean = mass @ at
        torch.testing.assert_close(law.weights @ law.means, mean, rtol=0, atol=1e-9)
        second = torch.einsum("n,nd,ne->de", mass, at, at)
        own = law.covariances + law.means[:, :, None] * law.means[:, None]
        torch.testing.assert_close((law.weights[:, None, None] * own).sum(0), second, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["mask", "grey", "pooled"])
@pytest.mark.parametrize("by", [Fixed(), Fresh(), Resample(2), Guidance()], ids=lambda by: type(by).__name__)
def test_what_is_known_comes_back(kind, by):
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(12, 3, 4, 4, generator=rng) * 2 - 1
    event = (3, 4, 4)
    projection = {"mask": LinearProjection.half(event, "left"), "grey": LinearProjection.grey(event),
                  "pooled": LinearProjection.pooled(event, 2)}[kind]  # fmt: skip
    free = MixtureFollmer.of_points(images, tau=200.0, sigma=1.0).denoised
    y = images[:1].expand(6, *event)
    x = restore(free, projection, y, power(12, 10.0, 0.05), Noise(0), strategy=by)
    assert x.dtype == torch.float32
    assert bool(torch.isfinite(x).all())
    if kind == "mask":
        assert torch.equal(x[:, projection.seen], y[:, projection.seen])
    torch.testing.assert_close(projection.known(x), projection.known(y), rtol=0, atol=1e-6)


def test_what_is_not_known_begins_about_the_mean_and_with_the_noise_of_the_first_level():
    begun = []

    def nothing(x, s):
        begun.append(x)
        return x

    mean = torch.tensor([5.0, -3.0]).double()
    restore(nothing, KNOWN, Y.expand(9, 2), [2.0, 0.0], Noise(7, dtype=torch.float64), mean=mean)
    noise = Noise(7, dtype=torch.float64).normal(9, 2)
    torch.testing.assert_close(begun[0], torch.tensor([1.0, -3.0]).double() + 2 * noise)


def test_noise_is_what_the_source_says_and_nothing_else():
    def drawn(seed):
        return restore(denoiser(covariance(0.5)), KNOWN, Y.expand(5, 2), power(5, 2.0, 0.1), Noise(seed))

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_strategies_have_names_and_numbers():
    named = [strategy(words) for words in ("fixed", "fresh", "resample", "resample:3", "guidance", " guidance:0.5")]
    assert named == [Fixed(), Fresh(), Resample(), Resample(3), Guidance(), Guidance(0.5)]
    assert replace(Resample(3), cycles=1) == Resample(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [("repaint", "use fixed, fresh, resample, guidance"), ("resampel", "did you mean resample"),
     ("resample:many", "'many' is no number"), ("resample:0", "--cycles 0: give a number between 1 and"),
     ("guidance:-1", "--scale -1"), ("fixed:2", "fixed takes no number"), ("", "use fixed")],
)  # fmt: skip
def test_a_strategy_that_there_is_not_is_refused_with_those_that_there_are(words, said):
    with pytest.raises(UsageError, match=said):
        strategy(words)


def test_what_cannot_be_restored_is_refused():
    free = denoiser(covariance(0.5))
    with pytest.raises(UsageError, match=r"samples of \(3,\), known of \(2,\)"):
        restore(free, KNOWN, torch.zeros(4, 3), [1.0, 0.0], Noise(0))
    with pytest.raises(UsageError, match="levels"):
        restore(free, KNOWN, torch.zeros(4, 2), [0.0, 1.0], Noise(0))
    with pytest.raises(UsageError, match="without derivatives; use fixed, fresh or resample"):
        restore(lambda x, s: free(x, s).detach(), KNOWN, Y.expand(4, 2), [1.0, 0.0], Noise(0), strategy=Guidance())
    weight = torch.ones(()).double().requires_grad_(True)
    with pytest.raises(UsageError, match="without derivatives"):
        restore(lambda x, s: weight * x.detach(), KNOWN, Y.expand(4, 2), [1.0, 0.0], Noise(0), strategy=Guidance())
    mixture = Mixture(torch.zeros(1, 2).double(), covariance(0.5)[None], torch.ones(1).double())
    with pytest.raises(UsageError, match="2 of 2 numbers are known"):
        conditional_mixture(mixture, LinearProjection.mask(torch.tensor([1, 1])), Y)
    with pytest.raises(UsageError, match=r"a mixture of 2 numbers, known of \(3,\)"):
        conditional_mixture(mixture, LinearProjection.mask(torch.tensor([1, 1, 0])), Y)
