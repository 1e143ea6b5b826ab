"""The driver's parts: warm-up, schedule, refits, tracers, classes, mini-batches, blocks, accounts, reasons to stop."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise, repeat

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.divergences import KL
from pushforward.dynamics.integrate import AdamsBashforth, euler, heun, rk4
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.nets import mlp
from pushforward.objectives.penalties import lipschitz
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.state import load_state, resume_state, weights


class Spring:
    """v = (mean of p - x) / s: the flow of D = E|x - mean of p|² / 2s between point masses, in closed form e^{-t/s}."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.seen: list[Tensor] = []
        self.logs: dict[str, Tensor] = {}

    def velocity(self, q: Tensor, p: Tensor):
        self.seen.append(q.clone())
        self.logs = {"divergence": self.value(q, p)}
        centre = p.mean(0)
        return lambda x, t=0.0: (centre - x) / self.scale

    def value(self, q: Tensor, p: Tensor) -> Tensor:
        return (q - p.mean(0)).flatten(1).square().sum(1).mean() / (2 * self.scale)

    def snapshot(self) -> dict[str, Tensor]:
        return {"q": self.seen[-1].mean(0)}

    def replay(self, state: dict[str, Tensor]):
        return lambda x, t=0.0: -state["q"] * torch.ones_like(x)


P = torch.zeros(3, 2, dtype=torch.float64)


def named(scheme: object) -> str:
    return getattr(scheme, "__name__", repr(scheme))


def cloud(n: int = 6) -> Tensor:
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 2


def go(method: Particles, steps: int, p: object = P) -> list[dict[str, Tensor]]:
    return [logs for _, logs in zip(range(steps), method.learn(repeat(p), start=int(method.done)))]  # type: ignore[arg-type]


def test_nothing_moves_during_warm_up():
    flow = Spring()
    method = Particles(flow, cloud(), 0.1, Noise(0), warmup=7)
    go(method, 2)
    assert len(flow.seen) == 9
    assert all(torch.equal(q, cloud()) for q in flow.seen[:8])


def test_a_resumed_run_does_not_warm_up_again():
    flow = Spring()
    next(Particles(flow, cloud(), 0.1, Noise(0), warmup=7).learn(repeat(P), start=3))
    assert len(flow.seen) == 1


def test_the_schedule_scales_the_step():
    method = Particles(Spring(), cloud(), 0.5, Noise(0), schedule=lambda k: 0.5**k)
    go(method, 3)
    torch.testing.assert_close(method.particles, cloud() * (1 - 0.5) * (1 - 0.25) * (1 - 0.125))


@pytest.mark.parametrize(("scheme", "calls"), [(euler, 1), (heun, 2), (rk4, 4)])
def test_refits_ask_the_flow_at_the_points_of_every_stage(scheme, calls):
    frozen, refitted = Spring(), Spring()
    go(Particles(frozen, cloud(), 0.1, Noise(0), scheme=scheme, refit=False), 3)
    go(Particles(refitted, cloud(), 0.1, Noise(0), scheme=scheme), 3)
    assert len(frozen.seen) == 3
    assert len(refitted.seen) == 3 * calls
    if scheme is heun:
        torch.testing.assert_close(refitted.seen[1], 0.9 * refitted.seen[0])


@pytest.mark.parametrize("scheme", [euler, heun, rk4, AdamsBashforth(2), AdamsBashforth(4)], ids=named)
def test_extra_points_feel_the_field_and_change_nothing(scheme):
    fresh = scheme.fresh() if isinstance(scheme, AdamsBashforth) else scheme
    alone = Particles(Spring(), cloud(), 0.1, Noise(0), scheme=scheme)
    traced = Particles(Spring(), cloud(), 0.1, Noise(0), scheme=fresh, tracers=cloud()[:2] * 3)
    for a, b in zip(go(alone, 6), go(traced, 6)):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(traced.particles, alone.particles)
    torch.testing.assert_close(traced.tracers, 3 * alone.particles[:2])


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("scheme", [euler, heun, AdamsBashforth(3)], ids=named)
def test_recorded_fields_carry_the_first_particles_where_they_went(scheme, refit):
    flow = CriticFlow(
        Learner(mlp.critic(2, width=8), partial(Adam, lr=1e-2)),
        KL,
        penalties=(partial(lipschitz, rng=Noise(3)),),
        steps=2,
    )
    start = cloud(20).float()
    method = Particles(flow, start, 0.1, Noise(0), scheme=scheme, record=True, refit=refit, schedule=lambda k: 0.9**k)
    go(method, 7, torch.randn(20, 2, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(method.transport(start), method.particles, rtol=1e-4, atol=1e-5)


def test_thinned_fields_serve_until_the_next():
    method = Particles(Spring(), cloud(), 0.1, Noise(0), record=3)
    go(method, 8)
    assert len(method.tape) == 3
    origin = torch.zeros(1, 2, dtype=torch.float64)
    drift = sum(-entry["q"] * 0.1 * steps for entry, steps in zip(method.tape, (3, 3, 2)))
    torch.testing.assert_close(method.transport(origin)[0], drift)


def conditional_method(**options) -> Particles:
    torch.manual_seed(0)
    net = mlp.critic(2, width=32, classes=2)
    flow = CriticFlow(Learner(net, partial(Adam, lr=3e-3)), KL, penalties=(partial(lipschitz, rng=Noise(3)),), steps=5)
    labels = torch.arange(60) % 2
    return Particles(flow, torch.randn(60, 2), 0.2, Noise(0), labels=labels, **options)


def two_classes() -> tuple[Tensor, Tensor]:
    labels = torch.arange(80) % 2
    x = torch.randn(80, 2, generator=torch.Generator().manual_seed(1)) * 0.3
    return x + torch.where(labels == 1, 3.0, -3.0)[:, None], labels


def test_classes_go_to_their_own_data_and_samples_are_of_the_class_asked_for():
    method = conditional_method(record=True, tracers=torch.zeros(4, 2), tracer_labels=torch.tensor([0, 0, 1, 1]))
    go(method, 60, two_classes())
    sides = torch.where(method.labels == 1, 1.0, -1.0)
    assert float((method.particles.mean(1) * sides).min()) > 1.5
    assert bool((method.tracers.mean(1) * torch.tensor([-1, -1, 1, 1]) > 1.5).all())
    wanted = torch.tensor([1, 0, 0, 1, 1])
    assert torch.equal(method.sample(5, Noise(1), wanted).mean(1) > 0, wanted == 1)
    carried = method.transport(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))
    torch.testing.assert_close(carried, method.tracers, rtol=1e-3, atol=1e-3)


def test_particles_without_classes_give_none_of_a_class():
    method = Particles(Spring(), cloud(), 0.1, Noise(0))
    with pytest.raises(UsageError, match="particles have none"):
        method.sample(2, labels=torch.tensor([0, 1]))


def test_classes_are_needed_on_both_sides():
    with pytest.raises(UsageError, match="the batches carry none"):
        go(conditional_method(), 1, two_classes()[0])
    with pytest.raises(UsageError, match="the tracers, or to neither"):
        conditional_method(tracers=torch.zeros(2, 2))
    with pytest.raises(UsageError, match="of class 1"):
        conditional_method().sample(40, Noise(0), torch.ones(40, dtype=torch.int64))


def test_mini_batches_show_the_flow_some_particles_and_move_all():
    flow = Spring()
    method = Particles(flow, cloud(50), 0.1, Noise(0), batch=8)
    go(method, 3)
    assert [q.shape for q in flow.seen] == [(8, 2)] * 3
    assert not torch.equal(flow.seen[0], flow.seen[1])
    torch.testing.assert_close(method.particles, 0.9**3 * cloud(50))


def test_blocks_change_nothing():
    whole, parts = (Particles(Spring(), cloud(50), 0.1, Noise(0), scheme=heun, block=block) for block in (50, 7))
    go(whole, 3), go(parts, 3)
    torch.testing.assert_close(whole.particles, parts.particles)


def test_accounts_are_those_of_the_exact_flow():
    """x = x0 e^{-t/s}: D = D0 e^{-2t/s}, 2 KE = 2 D / s, and the way is |x0| (1 - e^{-t/s})."""
    s, dt, n = 2.0, 0.01, 300
    method = Particles(Spring(s), cloud(), dt, Noise(0), scheme=rk4)
    logs = go(method, n)
    t = dt * (n - 1)
    first = cloud().square().sum(1).mean() / (2 * s)
    torch.testing.assert_close(logs[-1]["divergence"], first * math.exp(-2 * t / s), rtol=1e-6, atol=0)
    torch.testing.assert_close(2 * logs[-1]["kinetic"], 2 / s * logs[-1]["divergence"], rtol=1e-6, atol=0)
    assert float(logs[-1]["residual"]) < 1e-4
    way = cloud().norm(dim=1).mean() * (1 - math.exp(-dt * n / s))
    torch.testing.assert_close(logs[-1]["path"], way, rtol=1e-6, atol=0)
    torch.testing.assert_close(logs[0]["fastest"], cloud().norm(dim=1).max() / s)


def test_a_flow_that_misstates_its_divergence_has_a_residual():
    method = Particles(Spring(), cloud(), 0.01, Noise(0))
    honest = method.flow.value

    def half(q: Tensor, p: Tensor) -> Tensor:
        return honest(q, p) / 2

    method.flow.value = half  # type: ignore[method-assign]
    assert float(go(method, 100)[-1]["residual"]) > 0.5


def test_held_out_value_is_logged():
    method = Particles(Spring(), cloud(), 0.1, Noise(0), held=lambda: P + 1, diagnose=2)
    logs = go(method, 3)
    assert ["held" in each for each in logs] == [True, False, True]
    torch.testing.assert_close(logs[0]["held"], (cloud() - 1).square().sum(1).mean() / 2)


@pytest.mark.parametrize(
    ("until", "words"),
    [(Until(kinetic=1e-3, window=10), "kinetic energy"), (Until(plateau=1e-3, window=10), "changed by")],
    ids=["kinetic", "plateau"],
)
def test_learning_ends_by_itself_and_says_why(until, words):
    """Energy and divergence are both E|x|²/2 and fall by 0.81 a step, so that the step it ends at is known."""
    method = Particles(Spring(), cloud(), 0.1, Noise(0), until=until)
    logs = go(method, 1000)
    first = float(cloud().square().sum(1).mean() / 2)
    means = [first * sum(0.81**k for k in range(m, m + 10)) / 10 for m in range(0, 200, 10)]
    if until.kinetic:
        windows = next(m for m, mean in enumerate(means) if mean < 1e-3) + 1
    else:
        windows = next(m for m in range(1, 20) if means[m - 1] - means[m] < 1e-3 * first) + 1
    assert words in method.stopped
    assert len(logs) == 10 * windows


def test_the_horizon_is_the_time_at_which_learning_ends():
    method = Particles(Spring(), cloud(), 0.1, Noise(0), until=Until(horizon=0.75))
    assert len(go(method, 1000)) == 8
    assert "horizon t = 0.75" in method.stopped


def test_a_plateau_of_what_is_not_logged_is_refused():
    class Silent:
        def velocity(self, q: Tensor, p: Tensor):
            return lambda x, t=0.0: -x

    with pytest.raises(UsageError, match="Silent logs none"):
        go(Particles(Silent(), cloud(), 0.1, Noise(0), until=Until(plateau=0.1)), 1)


def test_a_window_is_bounded():
    with pytest.raises(UsageError, match="window 65"):
        Until(window=65)


def test_a_resumed_run_keeps_its_accounts_and_the_memory_of_its_scheme():
    whole, first, second = (
        Particles(Spring(), cloud(), 0.1, Noise(0), scheme=AdamsBashforth(3), until=Until(plateau=1e-9))
        for _ in range(3)
    )
    logs = go(whole, 12)
    go(first, 5)
    load_state(second, weights(first), resume_state(first))
    again = go(second, 7)
    assert all(torch.equal(a[key], b[key]) for a, b in zip(logs[5:], again) for key in a)
    assert torch.equal(whole.particles, second.particles)


class Coupled:
    """v = A (x - mean of q) + B (mean of q - mean of p): linear, and not the same after the particles moved."""

    A = torch.tensor([[-0.6, 0.8], [-0.5, -0.3]], dtype=torch.float64)
    B = torch.tensor([[-1.0, 0.4], [0.2, -0.7]], dtype=torch.float64)

    def velocity(self, q: Tensor, p: Tensor):
        mean, goal = q.mean(0), p.mean(0)
        return lambda x, t=0.0: (x - mean) @ self.A.T + (mean - goal) @ self.B.T

    def exact(self, x: Tensor, time: float) -> Tensor:
        inner = (x - x.mean(0)) @ torch.matrix_exp(time * self.A).T
        return inner + x.mean(0) @ torch.matrix_exp(time * self.B).T  # towards p, whose mean is 0


ORDERS = [(euler, True, 1), (euler, False, 1), (heun, True, 2), (heun, False, 1), (rk4, True, 4), (rk4, False, 1)]
ORDERS += [(AdamsBashforth(k), refit, k if refit else 2) for k in (2, 3, 4, 5) for refit in (True, False)]


@pytest.mark.parametrize(
    ("scheme", "refit", "order"), ORDERS, ids=lambda x: x.__name__ if callable(x) and hasattr(x, "__name__") else str(x)
)
def test_the_error_falls_with_the_order_that_the_docstring_states(scheme, refit, order):
    flow, start, time = Coupled(), cloud(), 1.5
    errors = []
    for steps in (60, 120, 240):
        own = scheme.fresh() if isinstance(scheme, AdamsBashforth) else scheme
        method = Particles(flow, start, time / steps, Noise(0), scheme=own, refit=refit)
        go(method, steps)
        errors.append((method.particles - flow.exact(start, time)).norm().item())
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert rates[-1] == pytest.approx(order, abs=0.2), rates


def test_refitting_is_what_a_scheme_gets_by_default():
    by_default, asked = (
        Particles(Coupled(), cloud(), 0.2, Noise(0), scheme=rk4, **how) for how in ({}, {"refit": True})
    )
    go(by_default, 4), go(asked, 4)
    assert torch.equal(by_default.particles, asked.particles)


@pytest.mark.parametrize("scheme", [euler, heun, rk4, AdamsBashforth(2), AdamsBashforth(5)], ids=named)
def test_steps_of_no_time_change_nothing_on_the_way_or_in_the_accounts(scheme):
    def run(schedule):
        own = scheme.fresh() if isinstance(scheme, AdamsBashforth) else scheme
        method = Particles(Spring(), cloud(), 0.1, Noise(0), scheme=own, schedule=schedule, record=1)
        return method, go(method, 12)

    lengths = [1.0, 0.5, 0.0, 0.7, 0.0, 0.0, 1.0, 0.3, 1.1, 0.0, 0.6, 0.0]
    idle, logs = run(lambda k: lengths[k])
    plain, _ = run(lambda k: ([x for x in lengths if x] + [0.0] * 12)[k])
    assert all(value.isfinite().all() for log in logs for value in log.values())
    torch.testing.assert_close(idle.particles, plain.particles, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(idle.accounts.path, plain.accounts.path)
    assert len(idle.tape) == 12


class Pull:
    """v = (4, 0) everywhere: the flow of D = -4 E x_0."""

    def __init__(self) -> None:
        self.logs: dict[str, Tensor] = {}

    def velocity(self, q: Tensor, p: Tensor):
        self.logs = {"divergence": 40 - 4 * q[:, 0].mean()}
        return lambda x, t=0.0: torch.tensor([4.0, 0.0], dtype=x.dtype).expand_as(x)


@pytest.mark.parametrize("scheme", [euler, heun, rk4, AdamsBashforth(3)], ids=named)
def test_points_that_a_wall_holds_have_no_energy_and_dissipate_nothing(scheme):
    """Half of the points stand on the wall from the beginning, the others arrive after ten steps."""
    start = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0], [-1.0, -2.0]], dtype=torch.float64)
    method = Particles(Pull(), start, 0.05, Noise(0), scheme=scheme, project=lambda x: x.clamp(max=1.0))
    logs = go(method, 30)
    for k, log in enumerate(logs):
        assert log["kinetic"].item() == pytest.approx(4.0 if k < 10 else 0.0, abs=1e-9)  # half of 16 / 2
        assert 2 * log["kinetic"].item() == pytest.approx(log["speed"].item() ** 2, abs=1e-9)
        # the trapezoid over the step in which they arrive is the only one that is not exact
        assert log["residual"].item() <= 0.05 * 4 / 40 * (1 + 1e-9)
    lost = logs[0]["divergence"] - logs[-1]["divergence"]
    assert lost.item() == pytest.approx(4.0)
    assert method.accounts.path.tolist() == pytest.approx([0, 0, 2, 2])


def test_particles_stop_where_a_wall_holds_them():
    start = cloud()
    until = Until(kinetic=1e-3, window=5)
    method = Particles(Pull(), start, 0.1, Noise(0), project=lambda x: x.clamp(max=5.0), until=until)
    logs = go(method, 200)
    assert "kinetic energy" in method.stopped
    assert len(logs) < 40
    assert (method.particles[:, 0] == 5).all()


def test_dissipation_along_a_slanted_wall_is_that_of_the_way_along_it():
    """v = (4, 0) against the line x_0 + x_1 <= 0 leaves (2, -2): energy 4, and D = -4 E x_0 falls at the rate 8."""
    normal = torch.tensor([0.5, 0.5], dtype=torch.float64)

    def project(x: Tensor) -> Tensor:
        return x - 2 * (x @ normal).clamp(min=0)[:, None] * normal

    logs = go(Particles(Pull(), torch.zeros(3, 2, dtype=torch.float64), 0.1, Noise(0), project=project), 20)
    for log in logs:
        assert log["kinetic"].item() == pytest.approx(4.0)
        assert log["residual"].item() == pytest.approx(0.0, abs=1e-9)
    assert (logs[0]["divergence"] - logs[-1]["divergence"]).item() == pytest.approx(1.9 * 8)


def test_a_resting_wall_leaves_the_accounts_of_free_points_to_the_bit():
    free, walled = (
        Particles(Spring(), cloud(), 0.1, Noise(0), scheme=heun, project=project) for project in (None, torch.clone)
    )
    for a, b in zip(go(free, 10), go(walled, 10)):
        assert {name: float(x) for name, x in a.items()} == {name: float(x) for name, x in b.items()}
