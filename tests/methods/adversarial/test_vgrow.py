"""VGrow's bookkeeping: what a step draws, moves and fits, and how often."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from pushforward.divergences import KL
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.gan import GAN
from pushforward.methods.adversarial.vgrow import VGrow, clamp, gan, paper, regression
from pushforward.methods.sources import Uniform, generate, normal
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

N = 6


def build(lr: float = 0.05, **options: Any) -> VGrow:
    torch.manual_seed(0)
    generator = Learner(mlp.generator(2, 2, width=8, depth=1), partial(SGD, lr=lr))
    critic = Learner(mlp.critic(2, width=8, depth=1), partial(SGD, lr=0.05))
    return VGrow(generator, CriticFlow(critic, KL), normal(2), Noise(1), **options)


def data() -> repeat[Tensor]:
    return repeat(torch.randn(N, 2, generator=torch.Generator().manual_seed(3)) + 1)


@pytest.mark.parametrize(("pool", "moves", "fits"), [(1, 1, 1), (1, 3, 2), (4, 1, 1), (4, 3, 2), (3, 2, 0)])
def test_a_step_makes_fits_times_pool_updates_and_one_critic_call_a_move(pool, moves, fits):
    method = build(pool=pool, moves=moves, fits=fits)
    method.flow.steps = 2
    for step, _ in zip(range(1, 4), method.learn(data())):
        assert method.generator.updates == step * fits * pool
        assert method.flow.critic.updates == step * moves * 2


def test_fits_may_depend_on_the_number_of_the_step_which_start_sets():
    method = build(fits=lambda k: k)
    seen = []
    for _, _ in zip(range(4), method.learn(data(), start=2)):
        seen.append(method.generator.updates)
    assert seen == [2, 5, 9, 14]


def test_each_move_takes_a_batch_of_its_own():
    taken = iter(range(1000))
    batches = (next(data()) + 0 * next(taken) for _ in repeat(None))
    for _, _ in zip(range(2), build(moves=3).learn(batches)):
        pass
    assert next(taken) == 6


def test_without_a_rate_the_regression_is_half_the_squared_length_of_the_moves():
    # a frozen generator: x - y = step * v, so the loss is step^2 E|v|^2 / 2
    method = build(lr=0.0, step=0.3)
    logs = next(method.learn(data()))
    wanted = 0.3**2 * logs["speed"] ** 2 / 2
    torch.testing.assert_close(logs["regression"], wanted, rtol=1e-5, atol=1e-9)
    assert logs["weight"].item() == 1.0
    assert logs["capped"].item() == 0.0


def test_regression_is_half_the_mean_squared_distance():
    x, y = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    wanted = torch.stack([(a - b).square().sum() / 2 for a, b in zip(x, y)]).mean()
    torch.testing.assert_close(regression(x, y), wanted)


def test_every_particle_of_the_pool_is_fitted_once_a_pass(monkeypatch: pytest.MonkeyPatch):
    method, seen = build(lr=0.0, pool=5, fits=2), []
    forward = method.generator.forward

    def watched(*inputs: Tensor) -> Tensor:
        seen.append(inputs[0])
        return forward(*inputs)

    monkeypatch.setattr(method.generator, "forward", watched)
    next(method.learn(data()))
    assert len(seen) == 10
    for latents in (torch.cat(seen[:5]), torch.cat(seen[5:])):
        assert len(latents.unique(dim=0)) == 5 * N
    assert torch.equal(torch.cat(seen[:5]).unique(dim=0), torch.cat(seen[5:]).unique(dim=0))


def test_fitting_pairs_each_particle_with_its_own_latent():
    # the field is zero, so particles stay: with the right pairs the regression is exactly nothing
    method = build(pool=4, fits=3)
    with torch.no_grad():
        for parameter in method.flow.critic.net.parameters():
            parameter.zero_()
    method.flow.steps = 0
    before = [parameter.clone() for parameter in method.generator.net.parameters()]
    logs = next(method.learn(data()))
    assert logs["regression"].item() < 1e-12
    for a, b in zip(before, method.generator.net.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_a_linear_critic_moves_the_pool_by_the_sum_of_its_steps():
    # KL with d = a . x has the velocity a everywhere: after m moves the particles are m * step * a away
    method = build(lr=0.0, pool=3, moves=4, step=0.25)
    critic = mlp.critic(2, depth=0)
    method.flow = CriticFlow(Learner(critic, partial(SGD, lr=0.0)), KL)
    logs = next(method.learn(data()))
    wanted = (4 * 0.25) ** 2 * critic.head.weight.square().sum() / 2
    torch.testing.assert_close(logs["regression"], wanted.detach(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("radius", [0.2, lambda k: 0.2, 5.0])
def test_no_particle_goes_further_in_a_move_than_the_radius_and_none_turns(radius):
    # KL with d = a . x, |a| = 2, step 1/4: half a unit a move, or the radius
    method = build(lr=0.0, pool=3, moves=4, step=0.25, radius=radius)
    critic = mlp.critic(2, depth=0)
    with torch.no_grad():
        critic.head.weight.mul_(2 / critic.head.weight.norm())
    method.flow = CriticFlow(Learner(critic, partial(SGD, lr=0.0)), KL)
    logs, made = next(method.learn(data())), 0.5 if radius == 5.0 else 0.2
    assert logs["regression"].item() == pytest.approx((4 * made) ** 2 / 2, rel=1e-5)
    assert logs["speed"].item() == pytest.approx(made / 0.25, rel=1e-5)
    assert logs["clipped"].item() == (made < 0.5)


def test_a_radius_that_nothing_reaches_changes_no_bit():
    free, held = build(moves=3, fits=2), build(moves=3, fits=2, radius=1e6)
    for method in (free, held):
        for _, _ in zip(range(3), method.learn(data())):
            pass
    for a, b in zip(free.generator.net.parameters(), held.generator.net.parameters()):
        assert torch.equal(a, b)


def test_a_radius_may_depend_on_the_number_of_the_step_which_start_sets():
    asked = []
    method = build(radius=lambda k: asked.append(k) or 1.0, moves=2)
    for _, _ in zip(range(3), method.learn(data(), start=5)):
        pass
    assert asked == [5, 6, 7]


def test_projection_is_applied_after_each_move():
    method = build(lr=0.0, moves=2, step=100.0, project=clamp(-0.1, 0.1))
    x = generate(method.generator, method.latent, N, Noise(1))  # the same latents as the first step
    logs = next(method.learn(data()))
    assert logs["regression"].item() <= ((x.abs() + 0.1).square().sum() / (2 * N)).item()
    assert torch.equal(clamp(-1, 1)(torch.tensor([-3.0, 0.5, 2.0])), torch.tensor([-1.0, 0.5, 1.0]))


@pytest.mark.parametrize("pool", [1, 3])
@pytest.mark.parametrize("eval_moves", [False, True])
def test_moves_in_evaluation_mode_leave_batch_statistics_to_the_regression(pool, eval_moves):
    method = build(pool=pool, fits=2, eval_moves=eval_moves)
    method.generator = Learner(
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), partial(SGD, lr=0.01)
    )
    next(method.learn(data()))
    drawn = 0 if eval_moves else pool
    fitted = 2 * pool - (pool == 1 and not eval_moves)  # the graph of the draw serves the first fit
    assert method.generator.net[1].num_batches_tracked.item() == drawn + fitted
    assert method.generator.net.training


@pytest.mark.parametrize("pool", [1, 3])
def test_labels_go_with_their_columns_through_the_pool(pool):
    # critic d(x, y) = e_y . x and generator x = e'_y: every move depends on the class alone
    torch.manual_seed(0)
    net, labels = mlp.generator(2, 2, depth=0, classes=3), torch.tensor([0, 1, 2, 2, 1, 0])
    with torch.no_grad():
        net.body[0].weight[:, :2].zero_()
    critic = mlp.critic(2, depth=0, classes=3)
    flow = CriticFlow(Learner(critic, partial(SGD, lr=0.0)), KL)
    method = VGrow(Learner(net, partial(SGD, lr=0.0)), flow, normal(2), Noise(1), pool=pool, moves=2, step=0.5)
    logs = next(method.learn(repeat((next(data()), labels))))
    slopes = (critic.head.weight + critic.embed.weight[labels]).detach()
    torch.testing.assert_close(logs["speed"], slopes.square().sum(1).mean().sqrt(), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(logs["regression"], slopes.square().sum(1).mean() / 2, rtol=1e-5, atol=1e-8)


def test_gan_preset_is_one_move_and_one_fit_without_projection():
    method = gan(*(getattr(build(), name) for name in ("generator", "flow", "latent", "rng")))
    assert (method.pool, method.moves, method.fits, method.step) == (1, 1, 1, 1.0)
    assert method.project is None
    assert not method.eval_moves


def test_paper_preset_has_the_published_numbers():
    method = paper(*(getattr(build(), name) for name in ("generator", "flow", "latent", "rng")))
    assert (method.pool, method.moves, method.step, method.eval_moves) == (20, 20, 0.5, True)
    assert [method.fits(k) for k in (0, 199, 200, 999, 1000, 1499, 1500, 9999)] == [5, 5, 10, 10, 15, 15, 20, 20]
    assert torch.equal(method.project(torch.tensor([-3.0, 0.5, 2.0])), torch.tensor([-1.0, 0.5, 1.0]))
    next(method.learn(data()))
    assert method.generator.updates == 20 * 5
    assert method.flow.critic.updates == 20


@pytest.mark.parametrize("rounds", [1, 3])
def test_gan_makes_one_update_and_as_many_critic_calls_as_rounds(rounds):
    parts = build()
    method = GAN(parts.generator, parts.flow, parts.latent, parts.rng, rounds=rounds)
    for step, _ in zip(range(1, 4), method.learn(data())):
        assert method.generator.updates == step
        assert method.flow.critic.updates == step * rounds


def test_generator_learns_a_shift():
    # q = z, p = z + (2, -1): the linear log-ratio is exact, and the flow carries the mean across
    torch.manual_seed(0)
    generator = Learner(mlp.generator(2, 2, depth=0), partial(SGD, lr=0.2), ema=0.9)
    with torch.no_grad():
        generator.net.body[0].weight.copy_(torch.eye(2))
    flow = CriticFlow(Learner(mlp.critic(2, depth=0), partial(SGD, lr=0.5)), KL, steps=5)
    method = VGrow(generator, flow, normal(2), Noise(0), fits=2, step=0.2)
    shift, stream = torch.tensor([2.0, -1.0]), Noise(9)
    for _, _ in zip(range(300), method.learn(stream.normal(256, 2) + shift for _ in repeat(None))):
        pass
    torch.testing.assert_close(method.sample(4000).mean(0), shift, rtol=0, atol=0.15)


def test_samples_come_from_the_average_in_evaluation_mode_block_by_block():
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    generator = Learner(net, partial(SGD, lr=0.1), ema=0.5)
    generator.descend(generator(torch.randn(8, 2) + 3).square().mean())
    z = normal(2)(Noise(4), 25)
    wanted = generator.average.eval()(z)
    torch.testing.assert_close(generate(generator, normal(2), 25, Noise(4), block=7), wanted)
    assert generator.net.training
    bare = Learner(net, partial(SGD, lr=0.1))
    torch.testing.assert_close(generate(bare, normal(2), 25, Noise(4)), net.eval()(z))


def test_sampling_keeps_the_mode_of_the_net():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    generate(Learner(net, partial(SGD, lr=0.1)), normal(2), 5, Noise(0))
    assert net.training


def test_sampled_labels_go_with_their_blocks():
    generator = Learner(mlp.generator(2, 2, depth=0, classes=3), partial(SGD, lr=0.1))
    labels = torch.arange(10) % 3
    z = normal(2)(Noise(4), 10)
    found = generate(generator, normal(2), 10, Noise(4), labels, block=4)
    torch.testing.assert_close(found, generator.net(z, labels).detach())


def test_latent_laws_have_their_moments():
    rng = Noise(0)
    gauss, uniform = normal(3)(rng, 20_000), Uniform(3)(rng, 20_000)
    torch.testing.assert_close(gauss.mean(0), torch.zeros(3), rtol=0, atol=0.03)
    torch.testing.assert_close(gauss.std(0), torch.ones(3), rtol=0, atol=0.03)
    torch.testing.assert_close(uniform.mean(0), torch.zeros(3), rtol=0, atol=0.02)
    torch.testing.assert_close(uniform.std(0), torch.full((3,), 3**-0.5), rtol=0, atol=0.01)
    assert uniform.abs().max() <= 1
    assert uniform.min() < -0.99
