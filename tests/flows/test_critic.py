"""A critic's flow: its log-ratio, its velocity, its penalties and its schedule, against laws that are known."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from laws.family import each_smooth
from torch import Tensor, nn
from torch.optim import SGD, Adam

from pushforward.divergences import JS, KL, REVERSE_KL, TV, dual, logistic, weight
from pushforward.dynamics.velocity import Ascent, limited, linear_critic, observed, quadratic_critic
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets import mlp
from pushforward.objectives.penalties import gradient_penalty, lipschitz, r1
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Scores

MEAN, VARIANCE = torch.tensor([1.0, -0.5]), torch.tensor([0.64, 1.44])
ORACLE = quadratic_critic((MEAN, VARIANCE.diag()), (torch.zeros(2), torch.eye(2)))


def small(lr: float = 0.1, **options) -> Learner:
    return Learner(mlp.critic(2, width=8, depth=1, activation=nn.Tanh), partial(SGD, lr=lr), **options)


def pair(n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 2) * VARIANCE.sqrt() + MEAN, torch.randn(n, 2)


def wgan(q: Scores, p: Scores) -> Tensor:
    return q.mean() - p.mean()


def test_total_variation_is_refused_as_a_flow_with_the_reason_and_the_remedy():
    with pytest.raises(UsageError, match=r"total variation has no flow.*zero almost everywhere.*JS or HELLINGER.*dual"):
        CriticFlow(small(), TV)


def test_total_variation_serves_as_the_contrast_of_another_flow():
    flow = CriticFlow(small(0.5), KL, contrast=dual(TV), steps=300)
    q, p = torch.randn(400, 2), torch.randn(400, 2) + torch.tensor([2.0, 0.0])
    flow.velocity(q, p)
    # sup of the dual is TV of the two clouds: erf(1 / sqrt 2) between the Gaussians
    assert -flow.logs["critic"].item() == pytest.approx(math.erf(2 / 2 / math.sqrt(2)), abs=0.06)


@each_smooth
def test_velocity_is_the_capped_weight_times_the_slope_of_the_scores(divergence):
    flow = CriticFlow(small(), divergence, steps=0, cap=1.1)
    x = torch.randn(30, 2)
    scores = flow.scores(at := x.clone().requires_grad_(True))
    (slope,) = torch.autograd.grad(scores.sum(), at)
    w, capped = weight(divergence, scores.detach(), 1.1)
    v, weights, share = flow.velocity(x, x).with_weights(x)
    torch.testing.assert_close(v, w[:, None] * slope)
    torch.testing.assert_close(weights, w)
    assert share == capped


def test_velocity_of_an_oracle_does_not_depend_on_time_nor_change_its_points():
    field, x = Ascent(ORACLE, JS), torch.randn(9, 2)
    before = x.clone()
    assert torch.equal(field(x, 0.0), field(x, 3.0))
    assert torch.equal(field(x[2:5]), field(x)[2:5])
    assert torch.equal(x, before)
    assert not field(x.requires_grad_(True)).requires_grad


def test_linear_critic_moves_every_point_alike():
    field = Ascent(linear_critic(torch.tensor([2.0, -1.0]), 0.7), KL)
    assert torch.equal(field(torch.randn(4, 2)), torch.tensor([2.0, -1.0]).expand(4, 2))


def test_limit_shortens_fast_velocities_alone_and_its_share_is_observed():
    field = Ascent(lambda x: x.square().sum((1, 2)) / 2, KL, limit=5.0)
    x = torch.tensor([[3.0, 4.0], [6.0, 8.0], [0.3, 0.4], [0.0, 0.0]]).view(4, 2, 1)
    wanted = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]).view(4, 2, 1)
    torch.testing.assert_close(field(x), wanted)
    v, logs = observed(field, x)
    torch.testing.assert_close(v, wanted)
    assert logs["limited"].item() == 0.25
    assert logs["speed"].item() == pytest.approx((50.25 / 4) ** 0.5)
    assert "limited" not in observed(Ascent(ORACLE, KL), torch.randn(3, 2))[1]
    free, share = limited(x, math.inf)
    assert torch.equal(free, x)
    assert share == 0


def test_limit_of_a_flow_holds_for_its_velocity_and_its_replay():
    flow, x = CriticFlow(small(), REVERSE_KL, limit=0.01), torch.randn(10, 2)
    v = flow.velocity(*pair(16))(x)
    assert v.norm(dim=1).max().item() == pytest.approx(0.01)
    assert torch.equal(flow.replay(flow.snapshot())(x), v)
    assert flow.velocity(x, x).given(None).limit == 0.01


def test_field_of_images_keeps_their_shape():
    field = Ascent(lambda x: x.square().sum((1, 2, 3)) / 2, REVERSE_KL)
    x = torch.randn(3, 1, 2, 2) / 2
    torch.testing.assert_close(field(x), x * (x.square().sum((1, 2, 3)) / 2).exp().view(-1, 1, 1, 1))


def test_bound_in_the_logs_is_that_of_the_jensen_shannon_divergence():
    flow = CriticFlow(small())
    q, p = pair(50)
    wanted = 2 * math.log(2) - logistic(flow.scores(q), flow.scores(p))
    flow.learn(q, p)
    torch.testing.assert_close(flow.logs["bound"], wanted)


def test_unequal_numbers_do_not_shift_the_log_ratio():
    # p = q: the best score is 0 however many rows each side has
    flow = CriticFlow(Learner(mlp.critic(2, width=4, depth=0), partial(SGD, lr=0.5)), steps=200)
    flow.velocity(torch.randn(900, 2), torch.randn(100, 2))
    assert flow.critic.net.head.bias.abs().item() < 0.05


def test_event_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        CriticFlow(small()).velocity(torch.zeros(4, 2), torch.zeros(4, 3))


def test_steps_count_the_updates_of_a_call():
    flow = CriticFlow(small(), steps=3)
    flow.velocity(*pair(8))
    assert flow.critic.updates == 3
    flow.velocity(*pair(8))
    assert flow.critic.updates == 6


def test_no_gradient_of_the_critic_loss_reaches_the_model():
    q, p = pair(8)
    q.requires_grad_(True)
    CriticFlow(small(), penalties=(lipschitz,)).velocity(q, p)
    assert q.grad is None


def test_scores_are_differentiable_in_the_samples_and_not_in_the_parameters():
    flow = CriticFlow(small())
    x = torch.randn(5, 2, requires_grad=True)
    flow.scores(x).sum().backward()
    assert x.grad.norm() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in flow.critic.net.parameters())


def updated(**options) -> Tensor:
    torch.manual_seed(1)
    flow = CriticFlow(small(), **options)
    rng = torch.Generator().manual_seed(2)
    for _ in range(4):
        flow.learn(torch.randn(16, 2, generator=rng), torch.randn(16, 2, generator=rng) + 1)
    return torch.cat([parameter.detach().flatten() for parameter in flow.critic.net.parameters()])


def test_penalties_add_up_and_their_schedule_is_a_factor():
    twice = updated(penalties=(r1, r1))
    torch.testing.assert_close(twice, updated(penalties=(partial(r1, weight=2.0),)))
    torch.testing.assert_close(twice, updated(penalties=(r1,), penalty_schedule=lambda k: 2.0))
    assert (twice - updated()).norm() > 1e-3


def test_schedule_that_is_zero_leaves_no_penalty():
    assert torch.equal(updated(penalties=(r1,), penalty_schedule=lambda k: 0.0), updated())


def test_lazy_penalty_counts_as_many_times_as_the_updates_it_stands_for():
    strengths = {0: 3.0, 1: 0.0, 2: 0.0, 3: 3.0}
    lazy, wanted = updated(penalties=(r1,), every=3), updated(penalties=(r1,), penalty_schedule=strengths.__getitem__)
    torch.testing.assert_close(lazy, wanted, rtol=1e-6, atol=1e-7)


def test_conditional_penalty_of_a_linear_critic_sees_the_slope_of_the_class():
    # d(x, y) = (a + e_y) . x: on a segment inside one class the slope is |a + e_y|
    critic = mlp.critic(2, depth=0, classes=3)
    flow = CriticFlow(
        Learner(critic, partial(SGD, lr=0.0)), penalties=(partial(gradient_penalty, slope=0.0, weight=1.0),)
    )
    labels = torch.full((20,), 2)
    flow.learn(*pair(20), (labels, labels))
    slope = critic.head.weight[0] + critic.embed.weight[2]
    torch.testing.assert_close(flow.logs["penalty"], slope.square().sum().detach(), rtol=1e-5, atol=1e-6)


def test_conditional_velocity_follows_the_labels_it_is_given():
    critic = mlp.critic(2, depth=0, classes=3)
    flow = CriticFlow(Learner(critic, partial(SGD, lr=0.0)))
    zeros, twos = torch.zeros(6, dtype=torch.long), torch.full((6,), 2)
    field = flow.velocity(*pair(6), (zeros, zeros))
    for labels in (zeros, twos):
        wanted = (critic.head.weight[0] + critic.embed.weight[labels]).detach()
        torch.testing.assert_close(field.given(labels)(torch.randn(6, 2)), wanted)


def test_replayed_field_is_the_field_at_the_time_of_the_snapshot():
    flow, x = CriticFlow(small(), REVERSE_KL), torch.randn(10, 2)
    then = flow.velocity(*pair(16))(x)
    state = flow.snapshot()
    now = flow.velocity(*pair(16))(x)
    assert torch.equal(flow.replay(state)(x), then)
    assert not torch.equal(now, then)


@each_smooth
def test_dual_contrast_drives_the_scores_to_the_log_ratio(divergence):
    # one free score at each of two points with masses p = (0.6, 0.4), q = (0.35, 0.65)
    p, q = torch.tensor([0.6, 0.4], dtype=torch.float64), torch.tensor([0.35, 0.65], dtype=torch.float64)
    rows_q, rows_p = torch.tensor([0] * 7 + [1] * 13), torch.tensor([0] * 3 + [1] * 2)
    scores = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    contrast, optimiser = (
        dual(divergence),
        torch.optim.LBFGS([scores], lr=0.5, max_iter=400, tolerance_grad=1e-12, tolerance_change=0),
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = contrast(scores[rows_q], scores[rows_p])
        loss.backward()
        return loss

    least = optimiser.step(closure)
    assert least is not None
    torch.testing.assert_close(scores.detach(), (p / q).log(), rtol=1e-6, atol=1e-7)
    wanted = (p * divergence.f(q / p)).sum()
    torch.testing.assert_close(-contrast(scores[rows_q], scores[rows_p]).detach(), wanted, rtol=1e-10, atol=1e-12)


def test_wasserstein_critic_of_a_shift_has_a_gap_near_the_shift():
    """Exact optimum: d' = 1 + F / (2 w rho); F is the gap of the distribution functions, rho the law of the points."""
    torch.manual_seed(3)
    w, std, shift = 50.0, 0.25, 2.0
    net = mlp.critic(1, width=32, depth=2, activation=nn.SiLU)
    with torch.no_grad():  # on the line a two-sided penalty has a mirror minimum at slope -1: start on this side of it
        net.head.weight.mul_(torch.sign(net(torch.tensor([[shift]])) - net(torch.tensor([[0.0]]))))
    critic = Learner(net, partial(Adam, lr=5e-3), schedule=cosine(600))
    flow = CriticFlow(critic, KL, wgan, penalties=(partial(gradient_penalty, weight=w),))
    for _ in range(600):
        flow.learn(std * torch.randn(128, 1), shift + std * torch.randn(128, 1))
    quantiles = torch.distributions.Normal(0.0, std).icdf((torch.arange(1000) + 0.5) / 1000)[:, None]
    gap = (flow.scores(shift + quantiles).mean() - flow.scores(quantiles).mean()).item()
    assert gap == pytest.approx(shift, rel=0.10)

    x, u = torch.linspace(-2, 4, 2001, dtype=torch.float64)[:, None], torch.linspace(0, 1, 401, dtype=torch.float64)
    spread = std * ((1 - u).square() + u.square()).sqrt()
    rho = torch.exp(-((x - shift * u) / spread).square() / 2).div(spread * math.sqrt(2 * math.pi)).mean(1)
    normal = torch.distributions.Normal(0.0, std)
    above = normal.cdf(x[:, 0]) - normal.cdf(x[:, 0] - shift)
    wanted = shift + (torch.where(rho > 1e-9, above.square() / rho, 0.0)).sum().item() * 6 / 2000 / (2 * w)
    assert gap == pytest.approx(wanted, rel=0.03)

    velocity = flow.velocity(quantiles, shift + quantiles)
    assert (velocity(torch.linspace(0.0, 2.0, 21)[:, None]) > 0.8).all()


def learned_ratio(steps: int) -> CriticFlow:
    torch.manual_seed(0)
    critic = Learner(
        mlp.critic(2, width=64, depth=2, activation=nn.SiLU), partial(Adam, lr=2e-3), schedule=cosine(steps)
    )
    flow = CriticFlow(critic)
    for _ in range(steps):
        flow.learn(*pair(512))
    return flow


def test_learned_log_ratio_and_its_slope_are_near_the_exact_ones():
    flow = learned_ratio(1000)
    x, _ = pair(4000)
    error = (flow.scores(x) - ORACLE(x)).square().mean().sqrt().item()
    assert error < 0.12
    found, wanted = Ascent(flow.scores, KL)(x), Ascent(ORACLE, KL)(x)
    assert ((found - wanted).norm() / wanted.norm()).item() < 0.15
    assert torch.cosine_similarity(found.flatten(), wanted.flatten(), dim=0).item() > 0.97


def test_particles_with_a_learned_ratio_follow_the_exact_law():
    torch.manual_seed(0)
    s, (x, _) = 0.05, pair(2000)
    critic = Learner(mlp.critic(2, width=64, depth=2, activation=nn.SiLU), partial(Adam, lr=2e-3))
    particles = Particles(CriticFlow(critic, steps=1), x, step=s, rng=Noise(0))
    mean, std = MEAN.clone(), VARIANCE.sqrt()
    for k in range(60):
        for _ in range(29):
            rows = torch.randint(len(x), (512,))
            particles.flow.learn(particles.particles[rows], torch.randn(512, 2))
        next(particles.learn([torch.randn(512, 2)], start=k))
        mean, std = (1 - s) * mean, std * (1 + s * (1 / std.square() - 1))
        if k == 19:
            torch.testing.assert_close(particles.particles.mean(0), mean, rtol=0, atol=0.05)
            torch.testing.assert_close(particles.particles.var(0), std.square(), rtol=0, atol=0.05)
    torch.testing.assert_close(particles.particles.mean(0), mean, rtol=0, atol=0.05)
    torch.testing.assert_close(particles.particles.var(0), torch.ones(2), rtol=0, atol=0.05)
