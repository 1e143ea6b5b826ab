"""Flows between features: pulled back they are regression in feature space, and between samples the flow itself."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD

from pushforward.errors import UsageError
from pushforward.flows.drift.featured import Featured, Space
from pushforward.flows.drift.flow import DriftFlow
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.preconditioned import pullback
from pushforward.flows.stein import ScoreFlow
from pushforward.geometry.kernels import energy
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.types import Replayable, able


def points(n=20, dim=3, seed=0):
    rng = Noise(seed, dtype=torch.float64)
    return rng.normal(n, dim), 0.8 * rng.normal(n, dim) + 0.5


def encoder(features=7):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, features)).double().requires_grad_(False)


def test_in_the_samples_themselves_it_is_the_flow_a_number_of_coordinates_slower():
    q, p = points()
    own = DriftFlow().velocity(q, p)(q)
    torch.testing.assert_close(Featured([Space("x", nn.Identity(), DriftFlow())]).velocity(q, p)(q), own / 3)


def test_one_move_and_one_fit_is_a_step_of_regression_in_feature_space():
    phi, unit = encoder(), 2.5

    def generator():
        torch.manual_seed(3)
        return Learner(mlp.generator(2, 3, width=8, depth=2).double(), partial(SGD, lr=0.1))

    p = points(16)[1]
    mine = generator()
    next(
        VGrow(mine, Featured([Space("f", phi, DriftFlow(), unit)]), normal(2), Noise(5, dtype=torch.float64)).learn([p])
    )
    theirs = generator()
    features = phi(theirs(normal(2)(Noise(5, dtype=torch.float64), 16))) / unit
    goal = features.detach() + DriftFlow().velocity(features.detach(), phi(p) / unit)(features.detach())
    loss = (features - goal).square().mean() / 2
    theirs.net.zero_grad()
    loss.backward()
    for one, other in zip(mine.net.parameters(), theirs.net.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_spaces_add_up_and_a_space_is_a_pullback():
    q, p = points()
    phi, psi = encoder(7), encoder(4)
    one, other = Space("a", phi, MMDFlow(energy())), Space("b", psi, MMDFlow(energy()), weight=3.0)
    both = Featured([one, other]).velocity(q, p)(q)
    alone = [Featured([space]).velocity(q, p)(q) for space in (one, other)]
    torch.testing.assert_close(both, alone[0] + alone[1])
    torch.testing.assert_close(alone[0], pullback(MMDFlow(energy()), phi).velocity(q, phi(p))(q) / 7)


def test_a_sample_leaves_out_itself_also_in_a_pool_of_several_rows():
    q, p = points()
    flow = Featured([Space("f", encoder(), DriftFlow())])
    velocity = flow.velocity(q.float().double(), p)
    torch.testing.assert_close(velocity(torch.cat([q, q]))[20:], velocity(q))


def test_classes_go_to_the_flows_that_take_them():
    q, p = points()
    labels = torch.arange(20) % 2, torch.arange(20) % 2
    phi = encoder()
    v = Featured([Space("f", phi, DriftFlow(rms=False))]).velocity(q, p, labels)(q)
    own = DriftFlow(rms=False).velocity(phi(q), phi(p), labels)(phi(q))
    assert float(own.abs().max()) > 0
    alone = Featured([Space("f", phi, DriftFlow(rms=False))]).velocity(q, p)(q)
    assert not torch.allclose(v, alone)
    with pytest.raises(UsageError, match="conditional"):
        Featured([Space("f", phi, MMDFlow(energy()))]).velocity(q, p, labels)


@pytest.mark.parametrize("spaces", [[], [Space("a", nn.Identity(), MMDFlow()), Space("a", nn.Identity(), MMDFlow())]])
def test_spaces_have_names_of_their_own(spaces):
    with pytest.raises(UsageError, match="give at least one, each of a name of its own"):
        Featured(spaces)


def test_a_field_is_written_down_and_read_back_where_its_flows_can():
    q, p = points()
    spaces = [Space("a", encoder(7), DriftFlow()), Space("b", encoder(4), MMDFlow(energy()))]
    flow = Featured(spaces)
    velocity = flow.velocity(q, p)
    assert able(flow, Replayable)
    assert torch.equal(Featured(spaces).replay(flow.snapshot())(q), velocity(q))
    assert not able(Featured([Space("a", nn.Identity(), ScoreFlow(lambda x: -x))]), Replayable)


def test_every_number_of_a_space_has_a_term_that_names_it():
    q, p = points()
    flow = Featured([Space("a", encoder(7), DriftFlow()), Space("b", encoder(4), MMDFlow(energy()))])
    flow.velocity(q, p)
    assert {"a_drift_0", "a_drift_2", "b_divergence"} <= flow.logs.keys() <= flow.terms.keys()
    assert flow.terms["b_divergence"].title.endswith(", b")
