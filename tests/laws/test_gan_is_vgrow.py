"""A generator step of a GAN is one VGrow step: grad of the regression = step * grad of E psi(d(G(z))), in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from laws.family import SMOOTH, each_smooth
from torch import Tensor, nn
from torch.optim import SGD

from pushforward.divergences import JS, KL, LOGD, NEYMAN, REVERSE_KL, Divergence, potential, weight
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.gan import GAN
from pushforward.methods.adversarial.vgrow import VGrow, clamp, gan, regression
from pushforward.methods.sources import Gaussian, normal
from pushforward.nets import mlp
from pushforward.nets.blocks import GeneratorNet
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

N, EVENT, CLASSES = 12, 3, 4
Parts = tuple[Learner, CriticFlow, Gaussian, Noise]


def parts(
    divergence: Divergence, *, classes: int = 0, steps: int = 0, cap: float = 1e9, batch_norm: bool = False
) -> Parts:
    """Equal parts at every call. The critic is frozen unless it takes steps; its scores spread by about one."""
    torch.manual_seed(3)
    net = mlp.generator(2, EVENT, width=8, depth=2, classes=classes, activation=nn.SiLU)
    if batch_norm:
        net = GeneratorNet(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, EVENT)), 2)
    critic = mlp.critic(EVENT, width=16, depth=2, classes=classes, activation=nn.SiLU)
    with torch.no_grad():
        for parameter in [*net.parameters(), *critic.parameters()]:
            parameter.mul_(2)
    flow = CriticFlow(Learner(critic.double(), partial(SGD, lr=0.05)), divergence, steps=steps, cap=cap)
    return Learner(net.double(), partial(SGD, lr=0.1)), flow, normal(2), Noise(5, dtype=torch.float64)


def data(classes: int = 0, batches: int = 4) -> list[Any]:
    rng = torch.Generator().manual_seed(7)
    x = [torch.randn(N, EVENT, generator=rng, dtype=torch.float64) + 0.5 for _ in range(batches)]
    return [(batch, torch.arange(N) % classes) for batch in x] if classes else x


def gradient(learner: Learner) -> Tensor:
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in learner.net.parameters()]
    )


def values(learner: Learner) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in learner.net.parameters()])


def apart(one: Tensor, other: Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


def gradients(divergence: Divergence, change: Callable[[Parts], VGrow], **options: Any) -> tuple[Tensor, Tensor]:
    """Gradients of one learn() step of a VGrow and of a GAN from equal states."""
    batches = data(options.get("classes", 0))
    vgrow, adversarial = change(parts(divergence, **options)), GAN(*parts(divergence, **options))
    next(vgrow.learn(batches))
    next(adversarial.learn(batches))
    assert gradient(adversarial.generator).norm() > 1e-3
    return gradient(vgrow.generator), gradient(adversarial.generator)


@each_smooth
def test_gradient_of_the_regression_is_step_times_that_of_the_generator_loss(divergence):
    generator, flow, latent, rng = parts(divergence)
    z, step = latent(rng, N), 0.37
    with torch.no_grad():
        y = (x := generator(z)) + step * flow.velocity(x, x)(x)
    found = {}
    for name, loss in {
        "regression": lambda: regression(generator(z), y),
        "mean squared error": lambda: nn.MSELoss()(generator(z), y),
        "adversarial": lambda: potential(divergence, flow.scores(generator(z))).mean(),
    }.items():
        generator.net.zero_grad()
        loss().backward()
        found[name] = gradient(generator)
    assert found["adversarial"].norm() > 1e-3
    assert apart(found["regression"], step * found["adversarial"]) < 1e-12
    assert apart(found["mean squared error"], 2 * step / EVENT * found["adversarial"]) < 1e-12


@each_smooth
def test_first_step_of_vgrow_has_the_gradient_of_the_gan(divergence):
    vgrow, adversarial = gradients(divergence, lambda parts: gan(*parts))
    assert apart(vgrow, adversarial) < 1e-12


@each_smooth
def test_length_of_the_move_is_a_factor_on_the_gradient(divergence):
    vgrow, adversarial = gradients(divergence, lambda parts: gan(*parts, step=0.37))
    assert apart(vgrow, 0.37 * adversarial) < 1e-12


@each_smooth
def test_conditional_step_of_vgrow_has_the_gradient_of_the_conditional_gan(divergence):
    vgrow, adversarial = gradients(divergence, lambda parts: gan(*parts), classes=CLASSES)
    assert apart(vgrow, adversarial) < 1e-12


@pytest.mark.parametrize("cap", [0.8, 1.3, 3.0])
@each_smooth
def test_identity_holds_where_the_cap_bites(divergence, cap):
    vgrow, adversarial = gradients(divergence, lambda parts: gan(*parts), cap=cap)
    assert apart(vgrow, adversarial) < 1e-12


def test_the_cap_of_the_test_above_bites():
    generator, flow, latent, rng = parts(NEYMAN)
    assert 0.1 < weight(NEYMAN, flow.scores(generator(latent(rng, N))), 1.3)[1].item() < 0.9


@each_smooth
def test_identity_holds_through_batch_norm_in_one_mode(divergence):
    vgrow, adversarial = gradients(divergence, lambda parts: gan(*parts), batch_norm=True)
    assert apart(vgrow, adversarial) < 1e-12


@pytest.mark.parametrize("classes", [0, CLASSES], ids=["plain", "conditional"])
@each_smooth
def test_training_by_vgrow_and_by_gan_gives_equal_parameters(divergence, classes):
    vgrow = gan(*parts(divergence, classes=classes, steps=2, cap=5.0))
    adversarial = GAN(*parts(divergence, classes=classes, steps=2, cap=5.0))
    start = values(vgrow.generator)
    for k, _ in enumerate(zip(vgrow.learn(data(classes)), adversarial.learn(data(classes)))):
        tolerance = 1e-13 if k == 0 else 1e-9
        assert apart(values(vgrow.generator) - start, values(adversarial.generator) - start) < 10 * tolerance
        assert apart(values(vgrow.flow.critic), values(adversarial.flow.critic)) < tolerance
        if k == 2:
            break
    assert apart(values(vgrow.generator), start) > 1e-3


def test_named_generator_losses_are_potentials():
    d = torch.linspace(-4, 4, 33, dtype=torch.float64)
    real = torch.sigmoid(d)
    torch.testing.assert_close(potential(JS, d), torch.log(1 - real), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(potential(LOGD, d), -torch.log(real), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(potential(KL, d), -d)
    torch.testing.assert_close(potential(JS, d) + potential(LOGD, d), potential(KL, d), rtol=1e-12, atol=1e-14)


BREAKS: dict[str, tuple[Callable[[Parts], VGrow], dict[str, Any]]] = {
    "clamp": (lambda parts: VGrow(*parts, project=clamp(-0.5, 0.5)), {}),
    "two moves": (lambda parts: VGrow(*parts, moves=2), {}),
    "second fit": (lambda parts: VGrow(*parts, fits=2), {}),
    "batch norm in another mode": (lambda parts: VGrow(*parts, eval_moves=True), {"batch_norm": True}),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("divergence", [KL, LOGD, REVERSE_KL], ids=str)
def test_identity_breaks_under(divergence, name):
    change, options = BREAKS[name]
    vgrow, adversarial = gradients(divergence, change, **options)
    assert apart(vgrow, adversarial) > 1e-3


def test_evaluation_mode_matters_only_through_batch_norm():
    vgrow, adversarial = gradients(JS, lambda parts: VGrow(*parts, eval_moves=True))
    assert apart(vgrow, adversarial) < 1e-12


def test_every_member_has_its_own_direction():
    # with the critic frozen at the same scores, no two divergences but multiples of each other share a gradient
    found = {}
    for divergence in SMOOTH:
        adversarial = GAN(*parts(divergence))
        next(adversarial.learn(data()))
        found[divergence] = gradient(adversarial.generator)
        found[divergence] /= found[divergence].norm()
    multiples = {("Neyman", "alpha(-1)"), ("squared Hellinger", "alpha(0.5)")}
    for i, one in enumerate(SMOOTH):
        for other in SMOOTH[i + 1 :]:
            distance = (found[one] - found[other]).norm().item()
            if (str(one), str(other)) in multiples:
                assert distance < 1e-12
            else:
                assert distance > 1e-3
