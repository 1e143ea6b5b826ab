"""Slope penalties on critics whose slope is known, and spectral norm."""

from __future__ import annotations

import math
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from pushforward.dynamics.velocity import linear_critic
from pushforward.objectives.penalties import both, excess, gradient_penalty, lipschitz, r1, r2, spectral
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

DIRECTION = torch.tensor([0.6, -1.2, 0.4], dtype=torch.float64)
STEEP = DIRECTION.norm().item()  # 1.4
ON_SEGMENTS = pytest.mark.parametrize("penalty", [gradient_penalty, lipschitz, excess], ids=lambda p: p.__name__)
ALL = pytest.mark.parametrize("penalty", [gradient_penalty, lipschitz, excess, r1, r2, both], ids=lambda p: p.__name__)


def samples(n: int = 50, m: int = 50) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 3, dtype=torch.float64), torch.randn(m, 3, dtype=torch.float64) + 1


def quadratic(x: Tensor) -> Tensor:
    """A critic with the slope (2 x_0, 4 x_1, 6 x_2)."""
    return (x.square() * torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)).sum(1)


def steepness(x: Tensor) -> Tensor:
    """The squared slope of `quadratic`."""
    return (x * torch.tensor([2.0, 4.0, 6.0], dtype=x.dtype)).square().sum(1)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.4, 3.0])
def test_two_sided_penalty_of_a_linear_critic(slope):
    found = gradient_penalty(linear_critic(DIRECTION), *samples(), slope=slope, weight=7.0)
    assert found.item() == pytest.approx(7 * (STEEP - slope) ** 2, abs=1e-10)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5, 3.0])
def test_one_sided_penalty_of_a_linear_critic_is_zero_below_its_slope(slope):
    found = lipschitz(linear_critic(DIRECTION), *samples(), slope=slope, weight=7.0)
    assert found.item() == pytest.approx(7 * max(STEEP - slope, 0.0) ** 2, abs=1e-10)
    if slope > STEEP:
        assert found.item() == 0.0


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5, 3.0])
def test_excess_of_a_linear_critic_is_that_of_its_squared_slope(slope):
    found = excess(linear_critic(DIRECTION), *samples(), slope=slope, weight=7.0)
    assert found.item() == pytest.approx(7 * max(STEEP**2 / slope**2 - 1, 0.0), abs=1e-10)
    scaled = excess(linear_critic(3 * DIRECTION), *samples(), slope=3 * slope, weight=7.0)
    assert scaled.item() == pytest.approx(found.item(), abs=1e-10)


@pytest.mark.parametrize(
    ("penalty", "wanted"), [(excess, 1.0), (lipschitz, 1.0 + 1.0 / 20)], ids=["excess", "lipschitz"]
)
def test_excess_holds_a_pulled_slope_where_the_other_one_sided_penalty_gives_way(penalty, wanted):
    # least of -s + penalty(s) over linear critics of slope s: 1 with a kink there, 1 + 1 / 2w with a square
    s = torch.linspace(0.5, 1.5, 2001, dtype=torch.float64)
    along = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    q, p = samples(4, 4)
    values = [-a + penalty(linear_critic(a * along), q, p, weight=10.0) for a in s]
    assert s[torch.stack(values).argmin()].item() == pytest.approx(wanted, abs=1e-3)


def test_default_weights_and_slopes():
    critic, (q, p) = linear_critic(DIRECTION), samples()
    assert gradient_penalty(critic, q, p).item() == pytest.approx(10 * 0.4**2)
    assert lipschitz(critic, q, p).item() == pytest.approx(10 * 0.4**2)
    assert excess(critic, q, p).item() == pytest.approx(10 * (1.4**2 - 1))
    assert r1(critic, q, p).item() == pytest.approx(STEEP**2 / 2)
    assert r2(critic, q, p).item() == pytest.approx(STEEP**2 / 2)
    assert both(critic, q, p).item() == pytest.approx(STEEP**2)


def test_zero_centred_penalties_of_a_quadratic_critic():
    q, p = samples(40, 60)
    on_q, on_p = steepness(q).mean(), steepness(p).mean()
    torch.testing.assert_close(r1(quadratic, q, p, weight=3.0), 1.5 * on_p)
    torch.testing.assert_close(r2(quadratic, q, p, weight=3.0), 1.5 * on_q)
    torch.testing.assert_close(both(quadratic, q, p, weight=3.0), 1.5 * (on_q + on_p))


def drawn(q: Tensor, p: Tensor, seed: int) -> Tensor:
    """The points on segments that a source of this seed gives: each row of the longer side with any of the other."""
    rng = Noise(seed, dtype=torch.float64)
    long, short = (q, p) if len(q) > len(p) else (p, q)
    partner, u = rng.integers(len(short), len(long)), rng.uniform(len(long))[:, None]
    return short[partner] + u * (long - short[partner])


@ON_SEGMENTS
@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 20), (7, 60)])
def test_penalty_of_a_quadratic_critic_at_the_drawn_points(penalty, n, m):
    q, p = samples(n, m)
    squared = steepness(drawn(q, p, 4))
    slopes = squared.sqrt() - 5.0
    wanted = 2 * (slopes if penalty is gradient_penalty else slopes.clamp(min=0)).square().mean()
    if penalty is excess:
        wanted = 2 * (squared / 25 - 1).clamp(min=0).mean()
    found = penalty(quadratic, q, p, slope=5.0, weight=2.0, rng=Noise(4, dtype=torch.float64))
    torch.testing.assert_close(found, wanted)


def watched(penalty, q: Tensor, p: Tensor, **options: object) -> Tensor:
    """The points that a penalty looks at."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(1)

    penalty(critic, q, p, **options)
    return torch.cat(seen)


@ON_SEGMENTS
@pytest.mark.parametrize("source", [None, Noise(3, dtype=torch.float64)], ids=["global", "named"])
@pytest.mark.parametrize(("n", "m"), [(10, 60), (60, 10), (30, 30)])
def test_in_time_every_row_is_paired_with_every_other_and_all_of_a_segment_is_seen(penalty, source, n, m):
    # row i of q stands at (i, 0), row j of p at (0, j), counted from 1: x / i + y / j = 1 on the segment between them
    i, j = torch.arange(1, n + 1).double(), torch.arange(1, m + 1).double()
    q, p = torch.stack([i, 0 * i], 1), torch.stack([0 * j, j], 1)
    met = torch.zeros(n, m, dtype=torch.bool)
    shares, calls = [], 40 if source is None else 25
    for _ in range(calls):
        x = watched(penalty, q, p, rng=source)
        on = (x[:, 0, None, None] / i[:, None] + x[:, 1, None, None] / j - 1).abs() < 1e-12
        once = on.flatten(1).sum(1) == 1  # the point lies on one segment only, as nearly all do
        which = on.flatten(1)[once].int().argmax(1)
        met.view(-1)[which] = True
        shares.append(x[once, 0] / i[which // m])
        assert len(x) == max(n, m)
        assert len((which % m if m >= n else which // m).unique()) == len(which)  # a row of the longer side only once
    assert met.any(0).all()
    assert met.any(1).all()
    # of nm pairs with all as likely, k draws leave a share e^{-k / nm} out
    assert met.double().mean().item() == pytest.approx(-math.expm1(-calls * max(n, m) / (n * m)), abs=0.05)
    u = torch.cat(shares)
    assert u.mean().item() == pytest.approx(0.5, abs=5 / (12 * len(u)) ** 0.5)
    assert u.std().item() == pytest.approx(12**-0.5, abs=0.02)


@ON_SEGMENTS
@pytest.mark.parametrize(("n", "m"), [(10, 400), (400, 10), (200, 200)])
def test_a_critic_that_is_steep_between_rows_of_different_numbers_is_penalised_in_full(penalty, n, m):
    """Slope 0 on the segments between rows k and k n / m, 50 on the others: the mean penalty is that of 50."""
    k = min(n, m)
    q, p = torch.zeros(n, 2, dtype=torch.float64), torch.ones(m, 2, dtype=torch.float64)
    q[:, 1], p[:, 1] = torch.arange(n) * 10.0, torch.arange(m) * 10.0
    tied = [(a[torch.arange(k) * len(a) // k]) for a in (q, p)]

    def critic(x: Tensor) -> Tensor:
        along = tied[1] - tied[0]
        share = ((x[:, None] - tied[0]) * along).sum(2) / along.square().sum(1)
        away = (x[:, None] - tied[0] - share[..., None] * along).norm(dim=2).min(1).values.detach()
        return torch.where(away < 1e-9, 0.0, 50.0) * x[:, 0]

    found = torch.stack([penalty(critic, q, p, weight=1.0, rng=Noise(s, dtype=torch.float64)) for s in range(30)])
    full = penalty(linear_critic(torch.tensor([50.0, 0.0], dtype=torch.float64)), q, p, weight=1.0)
    assert found.mean().item() == pytest.approx(full.item(), rel=2 / k)


@ALL
def test_gradient_is_finite_where_the_slope_is_zero(penalty):
    net = nn.Linear(3, 1).double()
    with torch.no_grad():
        net.weight.zero_()
    penalty(lambda x: net(x).squeeze(1), *samples()).backward()
    assert net.weight.grad.isfinite().all()


def test_two_sided_penalty_pushes_a_shallow_slope_up_and_a_steep_one_down():
    for scale, sign in [(0.5, -1), (2.0, 1)]:
        factor = torch.tensor(scale / STEEP, dtype=torch.float64, requires_grad=True)
        gradient_penalty(lambda x, factor=factor: factor * (x @ DIRECTION), *samples()).backward()
        # d/ds 10 (s a - 1)^2 = 20 a (s a - 1)
        assert factor.grad.item() == pytest.approx(20 * STEEP * (scale - 1))
        assert factor.grad.item() * sign > 0


@ALL
def test_penalty_reaches_the_parameters_but_not_the_samples(penalty):
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    q, p = (x.requires_grad_(True) for x in samples())
    kwargs = {} if penalty in (r1, r2, both) else {"slope": 1e-3}
    penalty(lambda x: net(x).squeeze(1), q, p, **kwargs).backward()
    assert net[0].weight.grad.norm() > 1e-6
    assert q.grad is None


def test_data_penalty_does_not_look_at_the_model_nor_the_other_at_the_data():
    q, p = samples()
    assert r1(quadratic, q, p) == r1(quadratic, torch.full_like(q, torch.nan), p)
    assert r2(quadratic, q, p) == r2(quadratic, q, torch.full_like(p, torch.nan))


@ON_SEGMENTS
@pytest.mark.parametrize(("n", "m"), [(50, 20), (20, 50), (7, 5)])
def test_sides_may_differ_in_number(penalty, n, m):
    found = penalty(linear_critic(DIRECTION), *samples(n, m), slope=0.4, weight=1.0)
    assert found.item() == pytest.approx(3.5**2 - 1 if penalty is excess else 1.0, abs=1e-9)


@ON_SEGMENTS
def test_event_shapes_must_agree(penalty):
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        penalty(quadratic, torch.zeros(4, 3), torch.zeros(4, 2))


@ON_SEGMENTS
def test_penalty_with_its_own_source_is_repeatable_and_leaves_the_global_one_alone(penalty):
    q, p = samples()
    state = torch.get_rng_state()
    first, second = (penalty(quadratic, q, p, rng=Noise(1, dtype=torch.float64)) for _ in range(2))
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    assert first != penalty(quadratic, q, p, rng=Noise(2, dtype=torch.float64))


LAYERS = {
    "linear": (lambda: nn.Linear(12, 7), (5, 12)),
    "convolution": (lambda: nn.Conv2d(3, 6, 3, padding=1), (2, 3, 8, 8)),
    "convolution on a line": (lambda: nn.Conv1d(3, 6, 5), (2, 3, 16)),
    "transposed convolution": (lambda: nn.ConvTranspose2d(5, 3, 4, 2, 1), (2, 5, 4, 4)),
}


def matrix(layer: nn.Module) -> Tensor:
    """The weight with its output channels as rows."""
    weight = layer.weight.detach()
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


@pytest.mark.parametrize("slope", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("name", LAYERS)
def test_norm_of_a_layer_is_the_wanted_slope_after_fifty_power_steps(name, slope):
    make, shape = LAYERS[name]
    layer = make()
    bare = matrix(layer)
    spectral(layer, slope).train()
    x = torch.randn(*shape)
    with torch.no_grad():
        for _ in range(50):
            layer(x)
    layer.eval()
    norm = torch.linalg.matrix_norm(matrix(layer), 2).item()
    assert norm == pytest.approx(slope, rel=1e-4)
    wanted = slope * bare / torch.linalg.matrix_norm(bare, 2)
    torch.testing.assert_close(matrix(layer), wanted, rtol=2e-4, atol=1e-5)


def spectral_net() -> nn.Module:
    return spectral(
        nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(), nn.Linear(16, 16), nn.LeakyReLU(), nn.Linear(16, 1))
    )


def buffers(net: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in net.buffers()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) > 0 and all(torch.equal(a, b) for a, b in zip(one, other))


def test_power_iteration_runs_in_training_and_rests_in_evaluation():
    net, x = spectral_net(), torch.randn(4, 3)
    before = buffers(net)
    net.eval()
    assert torch.equal(net(x), net(x))
    assert same(before, buffers(net))
    net.train()
    net(x)
    assert not same(before, buffers(net))


def test_deep_copy_of_a_spectral_net_is_equal_and_independent():
    net, x = spectral_net(), torch.randn(4, 3)
    twin = deepcopy(net)
    net.eval(), twin.eval()
    assert torch.equal(net(x), twin(x))
    before = buffers(twin)
    net.train()
    net(x)
    assert same(before, buffers(twin))


def test_spectral_net_bounds_every_slope_by_the_product_of_its_layers():
    net = spectral_net()
    for _ in range(50):
        net(torch.randn(2, 3))
    net.eval()
    x = torch.randn(500, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    assert slope.norm(dim=1).max() <= 1 + 1e-4


def test_average_of_a_spectral_net_copies_the_vectors_and_keeps_the_norm():
    learner = Learner(spectral_net(), partial(SGD, lr=0.3), ema=0.9)
    for _ in range(40):
        learner.descend(-learner(torch.randn(8, 3)).mean())
    average = learner.average
    assert average is not None
    assert same(buffers(learner.net), buffers(average))
    for mine, theirs in zip(average.modules(), learner.net.modules()):
        if isinstance(mine, nn.Linear):
            assert not torch.equal(mine.weight, theirs.weight)
            norm = torch.linalg.matrix_norm(mine.weight, 2).item()
            assert norm == pytest.approx(1.0, abs=0.05)


def test_gradient_reaches_every_weight_under_spectral_norm():
    net = spectral_net()
    net(torch.randn(8, 3)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.norm() > 0 for parameter in net.parameters())


def test_frozen_pass_leaves_the_vectors_alone():
    learner = Learner(spectral_net(), partial(SGD, lr=0.1))
    before = buffers(learner.net)
    with learner.frozen():
        learner.evaluate(torch.randn(4, 3))
    assert same(before, buffers(learner.net))
    assert learner.net.training
