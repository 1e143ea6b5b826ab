"""Drifting: printed values, what its fields are gradients of, and that no sample counts itself."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.optim import SGD

from pushforward.divergences import JS, KL, LIN, REVERSE_KL
from pushforward.errors import UsageError
from pushforward.flows.drift.field import Clouds, Drift, Window
from pushforward.flows.drift.flow import DriftFlow
from pushforward.flows.mmd import MMDFlow
from pushforward.geometry.kernels import imq, rbf, squared_distances
from pushforward.geometry.windows import laplace, logarithm, matern32, rational, sharp
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

Q = torch.tensor([[0.0, 0.0], [1.0, 0.5]], dtype=torch.float64)
P = torch.tensor([[1.0, 1.0], [-1.0, 2.0], [0.5, -1.0]], dtype=torch.float64)
PLAIN = {"unit": 1.0, "rms": False}
PRINTED = {
    ("rbf", 1.0, "split"): (-0.438275856729, -0.503260156075, 0.809449332905, 0.563809210398),
    ("rbf", 1.0, "row"): (-0.099973226870, -0.114796516818, 0.171953961177, 0.119771828989),
    ("rbf", 1.0, "joint"): (-0.364577735268, -0.180128846399, 0.344618747742, 0.301607940809),
    ("laplace", 0.5, "split"): (-0.429999563908, -0.640504368382, 0.916918609812, 0.813116377995),
    ("laplace", 0.5, "joint"): (-0.354046646766, -0.279058185481, 0.354355344576, 0.345381369237),
    ("laplace", 0.5, "sharp"): (-0.598732760853, -0.775136293226, 1.090576574776, 1.166360647065),
}
FAMILY = {"rbf": rbf, "laplace": laplace}


def clouds(n=40, m=30, dim=3, seed=0):
    rng = Noise(seed, dtype=torch.float64)
    return rng.normal(n, dim), 0.8 * rng.normal(m, dim) + 0.5


def plain(kernel, length, normalise, **more):
    return DriftFlow(kernel, (length,), normalise, unit=1.0, rms=False, **more)


def drift(flow, q, p, labels=None):
    """The field of a flow without jitter."""
    field = flow.velocity(q, p, labels)
    assert isinstance(field, Drift)
    return field


def close(found, wanted, tolerance=1e-11):
    torch.testing.assert_close(found, torch.as_tensor(wanted, dtype=found.dtype).view_as(found), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "length", "normalise"), PRINTED)
def test_printed_fields(name, length, normalise):
    flow = plain(FAMILY[name], length, normalise)
    close(flow.velocity(Q, P)(Q), PRINTED[name, length, normalise])


@pytest.mark.parametrize(
    ("divergence", "wanted"),
    [
        (REVERSE_KL, (-0.268903311230, -0.308774303446, 0.611422328779, 0.425876613143)),
        (LIN, (-0.103283828354, -0.118597989781, 0.198431643104, 0.138214442175)),
    ],
    ids=str,
)
def test_printed_fields_of_other_divergences(divergence, wanted):
    close(plain(rbf, 1.0, "split", divergence=divergence).velocity(Q, P)(Q), wanted)


def test_printed_log_ratios_and_a_field_in_which_samples_count_themselves():
    assert float(plain(rbf, 1.0, "split").value(Q, P)) == pytest.approx(
        (0.488496644832 + 0.280566251026) / 2, abs=1e-11
    )
    field = plain(rbf, 1.0, "split", own=1.0).velocity(Q, P)(Q)
    close(field, (0.213079007937, -0.177582723742, 0.158094468239, 0.238131778065))


def test_a_printed_field_with_unconditional_data_among_what_repels():
    others = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)
    mass = torch.tensor([0.25, 0.25, 1, 1], dtype=torch.float64).log()
    window = Window(laplace(0.5), torch.ones(()), torch.empty(0))
    field = Drift(Clouds(P, torch.cat([others, Q]), 2, mass), (window,), "split", KL)
    close(field(Q), (-0.429999563908, -0.679965568188, 0.536273521179, 0.716341821159))


@pytest.mark.parametrize(
    ("floor", "wanted"),
    [
        (1e-3, (-2.049437773796, -5.358044142294, 0.711428297646, 0.694064037798)),
        (0.0, (-2.045019860941, -5.359493020457, 0.709382395112, 0.688106233818)),
    ],
)
def test_the_published_field_with_and_without_its_floor(floor, wanted):
    flow = DriftFlow(unit=1.158572233621, floor=floor)  # its mean distance takes a sample to be 1e-4 from itself
    close(flow.velocity(Q, P)(Q), wanted, 1e-10)


@pytest.mark.parametrize("normalise", ["split", "row"])
def test_a_gaussian_field_is_the_gradient_of_the_smoothed_log_ratio(normalise):
    (q, p), h = clouds(), 0.7
    x = Noise(5, dtype=torch.float64).normal(9, 3).requires_grad_()
    log_p, log_q = ((-squared_distances(x, y) / (2 * h * h)).logsumexp(1) for y in (p, q))
    d = log_p - log_q
    (slope,) = torch.autograd.grad((d if normalise == "split" else torch.sigmoid(d)).sum(), x)
    close(plain(rbf, h, normalise).velocity(q, p)(x.detach()), h * h * slope, 1e-12)


@pytest.mark.parametrize("family", [rbf, laplace, matern32, rational, partial(imq, power=2.0)])
def test_a_sharp_field_is_the_gradient_of_the_log_ratio_of_sharp_sums(family):
    (q, p), kernel = clouds(), family(0.7)
    x = Noise(5, dtype=torch.float64).normal(9, 3).requires_grad_()
    log = logarithm(sharp(kernel))
    d = log(squared_distances(x, p)).logsumexp(1) - log(squared_distances(x, q)).logsumexp(1)
    (slope,) = torch.autograd.grad(d.sum(), x)
    close(plain(family, 0.7, "sharp").velocity(q, p)(x.detach()), slope, 1e-11)


def test_without_a_normalisation_it_is_the_flow_of_mmd():
    (q, p), h = clouds(), 0.7
    x = Noise(5, dtype=torch.float64).normal(9, 3)
    for where in (x, q):
        close(plain(rbf, h, "none").velocity(q, p)(where), h * h * MMDFlow(rbf(h)).velocity(q, p)(where), 1e-12)


@pytest.mark.parametrize("normalise", ["split", "row", "joint", "sharp", "none"])
@pytest.mark.parametrize("family", [rbf, laplace])
def test_swapping_data_and_samples_turns_a_field_round(family, normalise):
    q, p = clouds(30, 30)
    x = Noise(5, dtype=torch.float64).normal(9, 3)
    one, other = (plain(family, 0.7, normalise).velocity(*pair)(x) for pair in ((q, p), (p, q)))
    if normalise == "joint":  # the columns are summed over the samples, so that only its means change places
        one, other = (plain(family, 0.7, "joint").velocity(q, y)(x) for y in (p, p.flip(0)))
        close(one, other, 1e-12)
        return
    close(one, -other, 1e-12)


def curl(field, x):
    jacobian = torch.stack([
        (field(x + 1e-5 * e) - field(x - 1e-5 * e))[0] / 2e-5 for e in torch.eye(x.shape[1], dtype=x.dtype)
    ])  # fmt: skip
    return float((jacobian - jacobian.T).abs().max() / jacobian.abs().max())


def test_gaussian_and_sharp_fields_have_no_curl_and_a_plain_laplace_one_has():
    q, p = clouds()
    x = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
    for family, normalise in ((rbf, "split"), (rbf, "row"), (laplace, "sharp"), (rational, "sharp")):
        assert curl(plain(family, 0.7, normalise).velocity(q, p), x) < 1e-8  # of central differences
    assert curl(plain(laplace, 0.7, "split").velocity(q, p), x) > 0.1
    assert curl(plain(rational, 0.7, "split").velocity(q, p), x) > 0.1


def test_looked_up_beside_each_point_it_is_the_gradient_of_the_divergence_of_smoothed_samples():
    h, rng = 0.6, Noise(1, dtype=torch.float64)
    q, p = rng.normal(6, 1), rng.normal(5, 1) + 0.7
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    nodes, weights = torch.from_numpy(nodes), torch.from_numpy(weights / math.sqrt(2 * math.pi))
    field = plain(rbf, h, "split", own=1.0).velocity(q, p)
    mean = torch.stack([w * field(q + h * u) for u, w in zip(nodes, weights, strict=True)]).sum(0)
    grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    free = q.clone().requires_grad_()

    def density(x):
        return torch.exp(-squared_distances(grid[:, None], x) / (2 * h * h)).mean(1) / (h * math.sqrt(2 * math.pi))

    log = density(free).clamp_min(1e-300).log() - density(p).clamp_min(1e-300).log()
    value = torch.trapezoid(density(free) * log, grid)
    (slope,) = torch.autograd.grad(value, free)
    close(mean, -h * h * len(q) * slope, 1e-6 * float(mean.abs().max()))


def test_jitter_draws_fresh_points_as_far_as_the_window_is_wide():
    q, p = clouds(200, 200, 1)
    flow = plain(rbf, 0.6, "split", own=1.0, jitter=True, rng=Noise(0, dtype=torch.float64))
    velocity = flow.velocity(q, p)
    one, other = velocity(q), velocity(q)
    assert not torch.equal(one, other)
    many = torch.stack([velocity(q) for _ in range(400)])
    assert float((many.mean(0) - plain(rbf, 0.6, "split", own=1.0).velocity(q, p)(q)).abs().max()) > 0.01
    with pytest.raises(UsageError, match="jitter looks a field up"):
        plain(rbf, 0.6, "split", jitter=True)


@pytest.mark.slow
def test_where_laws_are_equal_nothing_contracts_unless_samples_count_themselves():
    rng, sums = Noise(0, dtype=torch.float64), {0.0: [], 1.0: []}
    for _ in range(4000):
        q, p = rng.normal(16, 1), rng.normal(15, 1)
        for own, kept in sums.items():
            kept.append(float((plain(rbf, 0.5, "split", own=own).velocity(q, p)(q) * q).mean()))
    assert abs(np.mean(sums[0.0])) < 0.01
    assert np.mean(sums[1.0]) < -0.1


def test_between_gaussians_it_is_the_closed_form_and_the_means_meet_at_its_pace():
    rng, h = Noise(0, dtype=torch.float64), 1.0
    q, p = rng.normal(2000, 1) + 2, rng.normal(2000, 1)
    flow, gap = plain(rbf, h, "split"), [2.0]
    for _ in range(20):
        q = q + 0.1 * flow.velocity(q, p)(q)
        gap.append(float(q.mean() - p.mean()))
    assert gap[-1] / gap[0] == pytest.approx((1 - 0.1 * h * h / (1 + h * h)) ** 20, rel=0.08)


@pytest.mark.parametrize("normalise", ["split", "row", "joint", "sharp", "none"])
def test_classes_are_fields_of_their_own_and_one_without_data_stands_still(normalise):
    q, p = clouds(40, 30)
    mine, theirs = torch.arange(40) % 4, torch.arange(30) % 3  # the fourth class has no data
    x = plain(laplace, 0.7, normalise).velocity(q, p, (mine, theirs))(q)
    for label in range(3):
        rows, data = q[mine == label], p[theirs == label]
        close(x[mine == label], plain(laplace, 0.7, normalise).velocity(rows, data)(rows), 1e-12)
    assert not x[mine == 3].any()


def test_a_class_is_asked_for_at_other_points():
    q, p = clouds(40, 30)
    labels = torch.arange(40) % 2, torch.arange(30) % 2
    x = Noise(5, dtype=torch.float64).normal(9, 3)
    field = drift(plain(laplace, 0.7, "split"), q, p, labels)
    alone = plain(laplace, 0.7, "split").velocity(q[labels[0] == 1], p[labels[1] == 1])(x)
    close(field.given(torch.ones(9, dtype=torch.int64))(x), alone, 1e-12)


def test_guidance_leads_away_from_what_all_classes_have_and_needs_classes():
    q, p = clouds(40, 40)
    labels = torch.arange(40) % 2, torch.arange(40) % 2
    plainly, led = (plain(rbf, 0.7, "split", guidance=g).velocity(q, p, labels)(q) for g in (0.0, 0.5))
    away = torch.stack([
        plain(rbf, 0.7, "split").velocity(p, p[labels[1] == label])(q) for label in labels[0].tolist()
    ])[torch.arange(40), torch.arange(40)]  # fmt: skip
    assert float(((led - plainly) * away).sum()) > 0
    with pytest.raises(UsageError, match="so give classes"):
        plain(rbf, 0.7, "split", guidance=0.5).velocity(q, p)


def test_blocks_equal_the_whole_and_far_points_stay_finite(monkeypatch):
    q, p = clouds(300, 200)
    for normalise in ("split", "row", "joint", "sharp", "none"):
        whole = plain(laplace, 0.7, normalise).velocity(q, p)(q)
        monkeypatch.setattr("pushforward.flows.drift.field.BLOCK", 1700)
        close(plain(laplace, 0.7, normalise).velocity(q, p)(q), whole, 1e-12)
        monkeypatch.undo()
    far = plain(rbf, 0.1, "split").velocity(q.float(), p.float() + 100)(q.float())
    assert bool(far.isfinite().all())
    assert float(far.norm(dim=1).min()) > 90


@pytest.mark.parametrize("normalise", ["joint", "sharp"])
def test_a_field_is_written_down_and_read_back(normalise):
    q, p = clouds()
    flow = DriftFlow(normalise=normalise, memory=2, scales=(0.1, 0.3))
    flow.velocity(q, p)
    flow.velocity(q, p)
    velocity = flow.velocity(q, p)
    x = Noise(5, dtype=torch.float64).normal(9, 3)
    again = DriftFlow(normalise=normalise, scales=(0.1, 0.3)).replay(flow.snapshot())
    assert torch.equal(again(x), velocity(x))


def test_memory_keeps_data_and_samples_of_calls_before():
    q, p = clouds(40, 30)
    kept, whole = plain(rbf, 0.7, "split", memory=1), plain(rbf, 0.7, "split")
    kept.velocity(q[:20], p[:15])
    field = kept.velocity(q[20:], p[15:])
    x = Noise(5, dtype=torch.float64).normal(9, 3)
    close(field(x), whole.velocity(q, p)(x), 1e-12)
    close(field(q[20:]), whole.velocity(q, p)(q)[20:], 1e-12)  # and a sample still leaves out itself


def test_windows_of_root_mean_square_one_and_lengths_that_are_annealed():
    q, p = clouds()
    flow = DriftFlow(rbf, (0.3, 1.0), "split", unit=1.0, anneal=lambda k: 1 / (1 + k))
    first = drift(flow, q, p)
    for part in first.parts(q):
        assert float(part.square().mean()) == pytest.approx(1.0, rel=1e-12)
    second = drift(flow, q, p)
    assert [window.kernel.bandwidth for window in second.windows] == [0.15, 0.5]
    assert set(flow.logs) == {"drift_0", "drift_1"}


def test_one_step_of_vgrow_is_a_step_down_the_published_loss():
    def generator():
        torch.manual_seed(3)
        return Learner(mlp.generator(2, 3, width=8, depth=2).double(), partial(SGD, lr=0.1))

    p = 0.8 * Noise(7, dtype=torch.float64).normal(16, 3) + 0.5
    mine = generator()
    method = VGrow(mine, DriftFlow(floor=1e-3), normal(2), Noise(5, dtype=torch.float64))
    next(method.learn([p] * 2))
    theirs = generator()
    x = theirs(normal(2)(Noise(5, dtype=torch.float64), 16))
    goal = (x + DriftFlow(floor=1e-3).velocity(x.detach(), p)(x.detach())).detach()
    loss = (x - goal).square().sum() / (2 * len(x))
    theirs.net.zero_grad()
    loss.backward()
    for one, other in zip(mine.net.parameters(), theirs.net.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)


def test_particles_find_both_modes_in_their_shares():
    rng = Noise(0)
    p = torch.cat([rng.normal(300, 2) * 0.2, rng.normal(100, 2) * 0.2 + 3])
    start = rng.normal(400, 2) * 1.5 + 1.5
    flow = DriftFlow(rbf, (2.0,), "split", unit=1.0, rms=False, anneal=lambda k: max(0.1, 0.97**k))
    cloud = Particles(flow, start, 1.0, rng)
    learning = cloud.learn(iter(lambda: p, None))
    for _ in range(120):
        next(learning)
    heavy = (cloud.particles.norm(dim=1) < 1.2).float().mean()
    light = ((cloud.particles - 3).norm(dim=1) < 1.2).float().mean()
    assert float(heavy + light) > 0.97
    assert float(heavy) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scales": ()}, "give at least one"),
        ({"scales": (0.1, -1)}, "all positive"),
        ({"unit": 0.0}, "give a positive length"),
        ({"own": 2.0}, "own goes from 0 to 1"),
        ({"normalise": "rows"}, "use joint, split, row, sharp or none"),
        ({"divergence": JS}, "use split or sharp"),
        ({"normalise": "split", "floor": 1e-3}, "it is of the joint matrix"),
        ({"normalise": "sharp", "kernel": imq}, "is the force of no kernel"),
    ],
)
def test_settings_that_do_not_go_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        DriftFlow(**settings)
    with pytest.raises(UsageError, match="has no divergence"):
        DriftFlow().value(Q, P)
