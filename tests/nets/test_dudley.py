"""Critics of the Dudley metric keep to their class, whatever the critic beneath, and climb to the metric."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.optim import Adam

from pushforward.divergences import W1
from pushforward.nets.dudley import Dudley
from pushforward.oracles import dudley_diracs


class Linear(nn.Module):
    """a . x - b with |a| <= 1, and a class that adds to the offset."""

    def __init__(self) -> None:
        super().__init__()
        self.direction, self.offset = nn.Parameter(torch.tensor([0.3, -0.1])), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        a = self.direction / self.direction.norm().clamp(min=1.0)
        return x @ a - self.offset + (0 if labels is None else labels)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("sharpness", [2.0, 8.0, 32.0])
def test_bound_and_slope_add_up_to_at_most_one_at_every_scale(share, sharpness):
    torch.manual_seed(0)
    net = Dudley(Linear(), share=share, sharpness=sharpness).double()
    net.critic.direction.data.mul_(100)
    x = torch.randn(400, 2, dtype=torch.float64) * torch.logspace(-2, 6, 400, dtype=torch.float64)[:, None]
    slopes = vmap(grad(lambda y: net(y[None])[0]))(x).norm(dim=1)
    assert slopes.isfinite().all()
    assert slopes.max() <= net.share + 1e-12
    assert slopes.max() >= 0.99 * net.share  # and the class is filled
    assert net(x).abs().max() <= 1 - net.share + 1e-12
    assert net(x).abs().max() >= 0.99 * (1 - net.share)


def test_score_is_that_of_the_formula():
    net = Dudley(Linear(), share=0.3, sharpness=4.0).double()
    x = torch.randn(50, 2, dtype=torch.float64) * 9
    u = 0.3 * net.critic(x) / 0.7
    torch.testing.assert_close(net(x), 0.7 * u / (1 + u**4) ** 0.25, rtol=1e-7, atol=1e-7)


def test_labels_reach_the_critic_beneath():
    net, x = Dudley(Linear()), torch.randn(5, 2)
    assert (net(x, torch.ones(5)) > net(x, torch.zeros(5))).all()
    state = {name: tensor.detach() for name, tensor in net.state_dict().items()}
    torch.testing.assert_close(functional_call(net, state, (x,)), net(x))


@pytest.mark.parametrize("distance", [0.5, 2.0, 10.0])
def test_two_diracs_are_told_apart_by_the_dudley_metric(distance):
    sharpness = 32.0
    net = Dudley(Linear(), sharpness=sharpness)
    q, p = torch.tensor([[-distance / 2, 0.0]]), torch.tensor([[distance / 2, 0.0]])
    optimiser = Adam(net.parameters(), lr=0.03)
    for _ in range(500):
        loss = W1.contrast(net(q), net(p))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    wanted = dudley_diracs(distance)
    assert wanted * 2 ** (-1 / sharpness) * 0.99 <= -loss.item() <= wanted + 1e-6
    assert net.share.item() == pytest.approx(2 / (2 + distance), abs=0.02)
    assert not math.isclose(-loss.item(), min(2, distance), rel_tol=0.05)  # the metric of max(bound, slope) <= 1
