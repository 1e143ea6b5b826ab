"""Mass goes to its own kind: a part of a cloud flows onto the data in other shares, where a balanced flow fails.

Three clusters, 8 standard deviations apart, are equally heavy in the source; the target lacks one and holds another
three times as often as the third. The lost cluster must not move, and the others must end where their kind is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from torch.optim import Adam

from pushforward import LatentFlow, ParticleFlow
from pushforward.data import Batches
from pushforward.divergences import KL_LIP
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.methods.particles.driver import Particles
from pushforward.metrics.integration.support import support
from pushforward.randomness import seeded, stream
from pushforward.training.learner import Learner
from pushforward.training.schedule import linear

MIDDLES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
PLANE = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 2)))[0].T
LOST = 1
EACH = 80


@dataclass(frozen=True)
class Moved:
    """Where a source came to, who of it had a counterpart, and what was asked of the target."""

    x: np.ndarray
    matched: np.ndarray | None
    shares: np.ndarray | None


def clusters(seed: int, sizes: dict[int, int], shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    names = np.repeat(list(sizes), list(sizes.values()))
    return np.random.default_rng(seed).standard_normal((len(names), 2)) + MIDDLES[names] + shift, names


def by_estimator(x: np.ndarray, y: np.ndarray, seed: int, balanced: bool) -> Moved:
    found = ParticleFlow(
        steps=100, warmup=30, width=16, depth=2, unmatched="move" if balanced else "stay", random_state=seed
    ).fit(y, x)
    return Moved(found.particles_, found.matched_, found.shares_)


def by_codes(x: np.ndarray, y: np.ndarray, seed: int, balanced: bool) -> Moved:
    """On a plane in six dimensions; what leaves the plane is the codec's."""
    noise = 0.02 * np.random.default_rng(seed).standard_normal((len(x) + len(y), 6))
    high, goal = x @ PLANE + noise[: len(x)], y @ PLANE + noise[len(x) :]
    found = LatentFlow(
        "pca:2", steps=100, warmup=30, width=16, depth=2, slope=0.4, unmatched="move" if balanced else "stay",
        random_state=seed,
    ).fit(goal, high)  # fmt: skip
    if found.matched_ is not None:
        np.testing.assert_array_equal(found.particles_[~found.matched_], high[~found.matched_])
    moved = (found.particles_ - high) @ PLANE.T
    return Moved(x + moved, found.matched_, found.shares_)


def by_hand(x: np.ndarray, y: np.ndarray, seed: int, balanced: bool) -> Moved:
    """The driver itself: a cloud of the matched rows, and batches drawn in the shares."""
    found, scale = support(x, y, seed), 4.0
    go = np.ones(len(x), bool) if balanced else found.matched
    q, p = (torch.from_numpy(part / scale).float() for part in (x[go], y))
    with seeded(seed):
        critic = Learner(bounded_critic(2, 0.2, 16, 2), partial(Adam, lr=5e-3, betas=(0.5, 0.999)))
    flow = bounded_flow(critic, KL_LIP, slope=0.2, steps=3)
    cloud = Particles(flow, q, 0.5, stream(seed, "train"), warmup=30, schedule=linear(100, 0.2, 0.5), diagnose=0)
    batches = Batches(p, len(p), seed=seed, weights=None if balanced else found.shares)
    for _ in islice(cloud.learn(batches), 100):
        pass
    out = x.copy()
    out[go] = scale * cloud.particles.double().numpy()
    return Moved(out, found.matched, found.shares)


def changed(moved: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Whether rows ended nearest to a cluster that is not theirs."""
    return np.linalg.norm(moved[:, None] - MIDDLES, axis=2).argmin(1) != names


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("move", [by_estimator, by_codes, by_hand])
def test_mass_goes_to_its_own_kind_and_only_that_of_a_balanced_flow_does_not(
    move: Callable[[np.ndarray, np.ndarray, int, bool], Moved], seed: int
):
    x, names = clusters(seed, {0: EACH, LOST: EACH, 2: EACH}, shift=0.5)
    y, theirs = clusters(seed + 10, {0: 3 * EACH, 2: EACH})
    kept, lost = move(x, y, seed, False), names == LOST
    assert kept.matched is not None
    assert kept.shares is not None
    assert (kept.matched == ~lost).mean() > 0.98
    assert (kept.x[~kept.matched] == x[~kept.matched]).all() or move is by_codes
    assert np.linalg.norm(kept.x - x, axis=1)[lost].mean() < 0.05 * 8
    assert changed(kept.x, names).mean() < 0.03
    for name in (0, 2):
        asked, mine = kept.shares[theirs == name].sum() / len(y), (names[kept.matched] == name).mean()
        assert asked == pytest.approx(mine, rel=0.1)
        assert np.linalg.norm(kept.x[names == name].mean(0) - y[theirs == name].mean(0)) < 1

    balanced = move(x, y, seed, True)
    assert np.linalg.norm(balanced.x - x, axis=1)[lost].mean() > 4  # more than half of the way to another cluster
    assert changed(balanced.x, names)[lost].mean() > 0.9
    assert changed(balanced.x, names)[names == 2].mean() > 0.05  # and of its own mass, a quarter of the target


@pytest.mark.parametrize("seed", range(3))
def test_onto_the_same_law_everything_moves_as_in_a_balanced_flow(seed):
    x, y = (clusters(k, {0: 150, 1: 50})[0] for k in (seed, seed + 10))
    for unmatched in ("stay", "follow"):
        found = ParticleFlow(steps=2, warmup=1, width=8, unmatched=unmatched, random_state=seed).fit(y, x)
        assert found.matched_ is not None
        assert found.shares_ is not None
        assert found.matched_.all()
        assert found.shares_.mean() == pytest.approx(1)
        assert found.shares_.std() < 0.25
        assert found.notes_[0] == "all 200 rows of the source have a counterpart in the target"
