"""How much of a Lipschitz-regularised KL each kind of critic attains, against its certified value."""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.divergences import KL_LIP
from pushforward.flows.critic import CriticFlow
from pushforward.nets.activations import GroupSort
from pushforward.nets.lipschitz import certificate, critic, observed_slope
from pushforward.objectives.penalties import excess
from pushforward.oracles import Bracket, cloud
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine

N, STEPS = 200, 250


@cache
def target(name: str) -> tuple[Tensor, Tensor, Bracket]:
    """q in the middle; p beside it, or half on each side, where the best critic has a crease."""
    rng = torch.Generator().manual_seed(0)
    q, p = torch.randn(N, 2, generator=rng), torch.randn(N, 2, generator=rng)
    if name == "shift":
        p = p + torch.tensor([3.0, 0.0])
    else:
        side = torch.arange(N).remainder(2).mul(6.0).sub(3.0)
        q, p = q / 2, p / 2 + torch.stack([side, torch.zeros(N)], 1)
    return q, p, cloud(KL_LIP, q, p)


CRITICS = {
    "bjorck": (partial(critic, mode="bjorck"), ()),
    "spectral": (partial(critic, mode="spectral"), ()),
    "spectral and GroupSort": (partial(critic, mode="spectral", activation=GroupSort), ()),
    "reference": (partial(critic, mode="reference"), ()),
    "penalty": (partial(critic, mode="none"), (partial(excess, weight=10.0, rng=Noise(1)),)),
}
SHARES = {  # of the exact value: at least, at most; two creased modes are out of the reach of norm-one ReLU layers
    ("bjorck", "shift"): (0.97, 1.0),
    ("bjorck", "modes"): (0.97, 1.0),
    ("spectral", "shift"): (0.95, 1.0),
    ("spectral", "modes"): (0.4, 0.85),
    ("spectral and GroupSort", "shift"): (0.97, 1.0),
    ("spectral and GroupSort", "modes"): (0.97, 1.0),
    ("reference", "shift"): (0.9, 1.0),
    ("reference", "modes"): (0.3, 0.6),
    ("penalty", "shift"): (0.94, 1.03),
    ("penalty", "modes"): (0.94, 1.03),
}


@pytest.mark.parametrize(("name", "law"), SHARES)
def test_share_of_the_exact_divergence_that_a_critic_attains(name, law):
    torch.manual_seed(0)
    (q, p, exact), (make, penalties) = target(law), CRITICS[name]
    learner = Learner(make(2), partial(Adam, lr=1e-2), schedule=cosine(STEPS))
    flow = CriticFlow(learner, KL_LIP, penalties=penalties)
    for _ in range(STEPS):
        flow.learn(q, p)
    value, slope = flow.value(q, p).item(), observed_slope(flow.scores, torch.cat([q, p])).item()
    low, high = SHARES[name, law]
    assert low * exact.upper <= value <= high * exact.upper + 1e-3
    if name == "penalty":
        assert slope < 1.1
    else:
        assert slope <= 1.001
        assert slope <= certificate(flow.critic.net) * 1.00001 <= 1.0001


@pytest.mark.slow
def test_a_penalised_critic_between_few_particles_and_many_data_does_not_pass_the_exact_divergence():
    """12 points against 800 in 20 dimensions: bounded between twelve fixed pairs alone it says half as much again."""
    torch.manual_seed(0)
    rng, steps = torch.Generator().manual_seed(0), 300
    q, p = torch.randn(12, 20, generator=rng), torch.randn(800, 20, generator=rng)
    q[:, 0] += 3
    exact = cloud(KL_LIP, q, p)
    net = critic(20, mode="none", activation=nn.Softplus, width=64)
    flow = CriticFlow(
        Learner(net, partial(Adam, lr=1e-2), schedule=cosine(steps)),
        KL_LIP,
        penalties=(partial(excess, weight=10.0, rng=Noise(1)),),
    )
    for _ in range(steps):
        flow.learn(q, p)
    value, slope = flow.value(q, p).item(), observed_slope(flow.scores, torch.cat([q, p])).item()
    assert 0.85 * exact.lower <= value <= 1.03 * exact.upper
    assert slope < 1.3
