"""An ensemble is its members, side by side: scores, learning, penalties and velocities."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from pushforward.divergences import KL_LIP, PEARSON_LIP
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.nets import mlp
from pushforward.nets.ensemble import Ensemble
from pushforward.nets.lipschitz import certificate, critic, image_critic, observed_slope
from pushforward.objectives.penalties import excess, r1, spectral
from pushforward.training.learner import Learner

MEMBERS = {
    "bjorck": partial(critic, 2, width=8),
    "spectral": partial(critic, 2, width=8, mode="spectral"),
    "free": partial(mlp.critic, 2, width=8, activation=nn.SiLU),
    "images": partial(image_critic, 9, width=4),
}


def points(name: str, n: int) -> Tensor:
    return torch.randn(n, 1, 9, 9) if name == "images" else torch.randn(n, 2)


def near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("k", [1, 3])
def test_scores_are_those_of_the_members(name, k):
    members, x = [MEMBERS[name]() for _ in range(k)], points(name, 6 * k)
    net = Ensemble(members)
    near(net(x), torch.stack([member(x) for member in members]))
    near(net(x, own=True), torch.cat([member(part) for member, part in zip(members, x.chunk(k))]))
    for copy, member in zip(net.members(), members, strict=True):
        assert torch.equal(copy(x), member(x))


@pytest.mark.parametrize("name", MEMBERS)
def test_gradient_reaches_each_member_from_its_own_scores_alone(name):
    members, x = [MEMBERS[name]() for _ in range(3)], points(name, 5)
    net = Ensemble(members)
    net(x)[1].square().sum().backward()
    members[1](x).square().sum().backward()
    for stack, parameter in zip(net.parameters(), members[1].parameters(), strict=True):
        near(stack.grad[1], parameter.grad)
        assert not stack.grad[[0, 2]].any()


def test_conditional_members_take_labels_and_class_weights():
    members, x, labels = [critic(2, width=8, classes=3) for _ in range(2)], torch.randn(9, 2), torch.arange(9) % 3
    net = Ensemble(members)
    near(net(x, labels), torch.stack([member(x, labels) for member in members]))
    near(net(x, nn.functional.one_hot(labels, 3).float()), net(x, labels))
    assert net.classes == 3


def test_ensemble_takes_other_weights_and_copies_its_members():
    members, x = [critic(2, width=8) for _ in range(2)], torch.randn(5, 2)
    net, other = Ensemble(members), Ensemble([critic(2, width=8) for _ in range(2)])
    assert torch.equal(functional_call(net, other.state_dict(), (x,)), other(x))
    before = net(x)
    with torch.no_grad():
        members[0].head.bias.add_(1.0)
    assert torch.equal(net(x), before)
    assert not torch.equal(deepcopy(net)(x), other(x))


def test_certificate_of_an_ensemble_bounds_its_mean_score():
    net = Ensemble([critic(2, width=8, mode="reference", slope=9.0) for _ in range(3)])
    bounds = [certificate(member) for member in net.members()]
    assert certificate(net) == pytest.approx(sum(bounds) / 3)
    assert observed_slope(lambda x: net(x).mean(0), torch.randn(99, 2)) <= certificate(net) < max(bounds)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "0 nets"),
        ([critic(2), critic(3)], "same shape"),
        ([spectral(mlp.critic(2)) for _ in range(2)], "state besides parameters"),
    ],
)
def test_members_that_cannot_stand_side_by_side_are_refused(members, message):
    with pytest.raises(UsageError, match=message):
        Ensemble(members)


def pair(n: int = 40, m: int = 40) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 2), torch.randn(m, 2) + 2


@pytest.mark.parametrize("penalties", [(), (partial(r1, weight=3.0),)], ids=["free", "penalised"])
@pytest.mark.parametrize("divergence", [KL_LIP, PEARSON_LIP], ids=str)
def test_members_learn_as_if_each_were_alone(divergence, penalties):
    nets, (q, p) = [mlp.critic(2, width=8, activation=nn.SiLU) for _ in range(3)], pair(40, 30)
    flow = CriticFlow(
        Learner(Ensemble(nets), partial(Adam, lr=1e-2), ema=0.9), divergence, penalties=penalties, steps=5
    )
    alone = [CriticFlow(Learner(net, partial(Adam, lr=1e-2)), divergence, penalties=penalties, steps=5) for net in nets]
    v, single = flow.velocity(q, p)(q), torch.stack([other.velocity(q, p)(q) for other in alone])
    torch.testing.assert_close(v, single.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(flow.velocities(q), single, rtol=1e-4, atol=1e-5)
    for name in flow.logs:
        torch.testing.assert_close(
            flow.logs[name], torch.stack([other.logs[name] for other in alone]).mean(), rtol=1e-4, atol=1e-5
        )
    assert torch.equal(flow.replay(flow.snapshot())(q), v)


def test_random_points_of_a_penalty_lie_on_segments_of_each_member():
    nets, (q, p) = [mlp.critic(2, depth=0) for _ in range(2)], pair(12, 7)
    with torch.no_grad():
        for net, slope in zip(nets, (3.0, 0.5)):
            net.head.weight.copy_(torch.tensor([[slope, 0.0]]))
    flow = CriticFlow(Learner(Ensemble(nets), partial(Adam, lr=0.0)), KL_LIP, penalties=(partial(excess, weight=1.0),))
    flow.learn(q, p)
    assert flow.logs["penalty"].item() == pytest.approx((3.0**2 - 1) / 2)


def test_conditional_members_of_a_flow_are_penalised_for_their_class():
    nets, (q, p), labels = [mlp.critic(2, depth=0, classes=3) for _ in range(2)], pair(20, 20), torch.full((20,), 2)
    flow = CriticFlow(
        Learner(Ensemble(nets), partial(Adam, lr=0.0)), KL_LIP, penalties=(partial(excess, slope=0.01, weight=1.0),)
    )
    v = flow.velocity(q, p, (labels, labels))(q)
    slopes = torch.stack([net.head.weight[0] + net.embed.weight[2] for net in nets]).detach()
    near(v, slopes.mean(0).expand(20, 2))
    near(flow.velocities(q, labels), slopes[:, None].expand(2, 20, 2))
    wanted = (slopes.square().sum(1) / 0.01**2 - 1).clamp(min=0).mean()
    torch.testing.assert_close(flow.logs["penalty"], wanted, rtol=1e-4, atol=0)


def test_spread_of_members_is_wide_only_where_there_are_no_samples():
    torch.manual_seed(0)
    flow = CriticFlow(Learner(Ensemble([critic(2) for _ in range(4)]), partial(Adam, lr=1e-2)), KL_LIP, steps=150)
    q, p = pair(200, 200)
    flow.velocity(q, p)
    aside = torch.randn(200, 2) + torch.tensor([12.0, -12.0])
    inside, outside = (flow.velocities(x).std(0).norm(dim=1).mean() for x in (q, aside))
    assert inside < 0.03
    assert outside > 4 * inside


def test_one_critic_is_its_own_only_member():
    flow, (q, p) = CriticFlow(Learner(critic(2, width=8), partial(Adam, lr=1e-2)), KL_LIP), pair()
    assert flow.members == 1
    assert torch.equal(flow.velocity(q, p)(q)[None], flow.velocities(q))
