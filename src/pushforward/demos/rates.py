r"""How fast the two-stage bridge becomes exact: in steps, in draws of its ratio, in data, and in all of them at once.

Each part is measured by itself, as the second stage forgets most of the errors of the first: of a wrong variance of
normal data of variance v it leaves the share :math:`(v/(v+\sigma^2))^2`, as noise comes anew in its steps. All errors
are distances W2 on the line, where laws can be carried through the steps without a random number.

References:
    Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.demos.propagation import Law, NoisyStep, interpolated, slope, w2
from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges.follmer import MixtureFollmer
from pushforward.dynamics.bridges.forms import RatioDrift
from pushforward.dynamics.sde.levels import euler_maruyama, linear_variance, pairs_of
from pushforward.randomness import generator, stream
from pushforward.types import Samples

__all__ = [
    "BROAD", "LADDER", "NARROW", "Rate", "Setting", "by_data", "by_draws", "contraction", "euler_steps", "level_steps",
    "rates", "stage_one", "stage_two", "together",
]  # fmt: skip

LADDER = (8, 16, 32, 64, 128, 256)
REACH = 8.0


@dataclass(frozen=True, eq=False)
class Setting:
    """Data on the line, and the bridge to them.

    Attributes:
        law: Law of the data.
        tau: Variance of the noise of stage 1 in one unit of time.
        sigma: Width of the smoothing.
        cells: Cells from -8 to 8, as narrow as the modes need.
    """

    law: Mixture
    tau: float
    sigma: float
    cells: int

    @property
    def bridge(self) -> MixtureFollmer:
        """The exact one."""
        return MixtureFollmer.of(self.law, tau=self.tau, sigma=self.sigma)

    def smoothed(self, sigma: float, cells: int | None = None) -> Law:
        """The data with noise of this width."""
        wide = Mixture(self.law.means, self.law.covariances + sigma**2, self.law.weights)
        return Law.of(wide.log_prob, reach=REACH, cells=cells or self.cells)


BROAD = Setting(Mixture.of([[-1.0], [0.8]], covariances=[[[0.04]], [[0.09]]], weights=[0.3, 0.7]), 2.0, 1.0, 1000)
NARROW = Setting(Mixture.of([[-1.5], [1.5]], sigma=0.1), 4.0, 0.5, 1600)
NORMAL = Setting(Mixture.of([[0.0]], sigma=0.25), 2.0, 1.0, 1000)


@dataclass(frozen=True)
class Rate:
    """What was measured, and whether it is as it should be.

    Attributes:
        name: What is made larger.
        sizes: How large.
        errors: W2, at each of them.
        value: Slope of their logarithms; for all at once the largest ratio of an error to the one before; for the
            contraction its ratio to what it should be.
        accepted: Lowest and highest value that is as it should be.
        seconds: What it took.
    """

    name: str
    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    value: float
    accepted: tuple[float, float]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the value is one of those accepted."""
        return self.accepted[0] <= self.value <= self.accepted[1]


def rates(seed: int = 0, *, drifts: int = 40_000, sets: int = 64) -> Iterator[Rate]:
    """All six measurements, one after another.

    Args:
        seed: Of data and chains.
        drifts: How often the drift is drawn at a step, over all cells, where the number of its draws is varied; a
            sixteenth of that for each data set where all numbers are.
        sets: Data sets over which errors of few data are averaged (their squares are); a quarter where all are varied.
    """
    yield _timed("steps of stage 1", LADDER, (-1.1, -0.9), lambda: [stage_one(n) for n in LADDER])
    yield _timed("steps of stage 2", LADDER, (-1.1, -0.9), lambda: [stage_two(n) for n in LADDER])
    counts = (4, 8, 16, 32)  # from 2 to 8 the slope is -0.75: it comes near -1 slowly
    yield _timed("draws of the ratio", counts, (-1.25, -0.75), lambda: by_draws(counts, drifts, seed))
    sizes = (64, 256, 1024, 4096)
    yield _timed("data", sizes, (-0.65, -0.35), lambda: by_data(sizes, sets, seed))
    few = max(1, sets // 4)
    yield _timed("all of them", (1, 2, 4, 8), (0, 1), lambda: together((1, 2, 4, 8), drifts // 16, few, seed), _slowest)
    yield _timed("contraction of stage 2", (), (0.999, 1.001), lambda: [contraction()], lambda found: found[0])


def _slowest(errors: Sequence[float]) -> float:
    """The largest ratio of an error to the one before."""
    return max(after / before for before, after in pairwise(errors))


def _timed(
    name: str,
    sizes: Sequence[int],
    accepted: tuple[float, float],
    measure: Callable[[], list[float]],
    value: Callable[[list[float]], float] | None = None,
) -> Rate:
    began = time.perf_counter()
    errors = measure()
    found = slope(sizes, errors) if value is None else value(errors)
    kept = tuple(errors) if sizes else ()
    return Rate(name, tuple(sizes), kept, found, accepted, time.perf_counter() - began)


def stage_one(steps: int, *, exponential: bool = False, setting: Setting = BROAD) -> float:
    """W2 from the smoothed data of what so many Euler steps of stage 1 end with, by the exact drift.

    Args:
        steps: N1.
        exponential: See `euler_steps`.
        setting: Data and bridge.
    """
    end = setting.smoothed(setting.sigma)
    return w2(end.point().through(euler_steps(setting.bridge, steps, exponential=exponential)), end)


def stage_two(steps: int, step: Callable[..., Samples] = euler_maruyama, setting: Setting = BROAD) -> float:
    """W2 from the data of what so many steps of stage 2 end with, from the exact smoothed data by the exact denoiser.

    Args:
        steps: N2.
        step: Down from one level to the next, one of `pushforward.dynamics.sde.levels`.
        setting: Data and bridge.
    """
    begin, end = setting.smoothed(setting.sigma), setting.smoothed(0.0)
    return w2(begin.through(level_steps(setting.bridge, linear_variance(steps, setting.sigma), step)), end)


def contraction(steps: int = 64) -> float:
    r"""What stage 2 leaves of a tenth more variance at its start, relative to :math:`(v/(v+\sigma^2))^2`: 1."""
    v, wide, begin = NORMAL.law.sigma**2, NORMAL.law.sigma**2 + NORMAL.sigma**2, NORMAL.smoothed(NORMAL.sigma)
    wider = begin.after(lambda x, z: math.sqrt(1.1) * x)
    moves = level_steps(NORMAL.bridge, linear_variance(steps, NORMAL.sigma))
    left = wider.through(moves).variance - begin.through(moves).variance
    return left / (wider.variance - begin.variance) / (v / wide) ** 2


def by_draws(counts: Sequence[int], drifts: int, seed: int, steps: int = 64) -> list[float]:
    """W2 of stage 1 by a ratio and so many draws, from what as many steps by the exact drift end with.

    Laws are carried through the steps, with a drift that is drawn anew for every cell. So what is left of chance is a
    fraction of what as many chains have, and there is no floor to subtract.
    """
    bridge, start = NARROW.bridge, NARROW.smoothed(NARROW.sigma, cells=400).point()
    exact, found = start.through(euler_steps(bridge, steps)), list[float]()
    for draws in counts:
        rng = stream(seed, "transport", draws, part="consistency")
        drift = RatioDrift(lambda y: bridge.log_h(y, 1.0), bridge.tau, bridge.sigma, "autodiff", draws, rng)
        law = _drawn(start, drift, steps, drifts)
        even = Law(law.edges, (law.mass + law.mass.flip(0)) / 2, law.grid)  # as data are: the modes weigh the same
        found.append(w2(even, exact))
    return found


def by_data(counts: Sequence[int], sets: int, seed: int) -> list[float]:
    """W2 from the smoothed data of so many smoothed points, where stage 1 ends that knows them alone; over data sets.

    The second stage, made exact, would end at the points themselves.
    """
    rng, end, found = generator(seed, "data", part="consistency"), BROAD.smoothed(1.0), list[float]()

    def squared(points: MixtureFollmer) -> float:
        law = Law.of(
            lambda y: points.log_h(y, 1.0) - y[:, 0].square() / (2 * points.tau), reach=REACH, cells=BROAD.cells
        )
        return w2(law, end) ** 2

    for n in counts:
        errors = [squared(MixtureFollmer.of_points(BROAD.law.sample(n, rng), tau=2.0, sigma=1.0)) for _ in range(sets)]
        found.append(math.sqrt(sum(errors) / sets))
    return found


def together(factors: Sequence[int], drifts: int, sets: int, seed: int) -> list[float]:
    """W2 from the data of both stages, by 64 data, 8 and 8 steps and 2 draws, each times a factor; over data sets.

    Ratio and denoiser know the data alone, of which the larger sets have those of the smaller ones. The ratio is read
    off a table.
    """
    rng, end = generator(seed, "data", part="consistency, all"), BROAD.smoothed(0.0, cells=600)
    data = [BROAD.law.sample(64 * max(factors), rng) for _ in range(sets)]

    def squared(each: int, factor: int) -> float:
        bridge = MixtureFollmer.of_points(data[each][: 64 * factor], tau=2.0, sigma=1.0)
        source = stream(seed, "transport", 1000 * factor + each, part="consistency")
        drift = RatioDrift(_read(lambda y: bridge.log_h(y, 1.0)), 2.0, 1.0, "autodiff", 2 * factor, source)
        middle = _drawn(end.point(), drift, 8 * factor, drifts)
        return w2(middle.through(level_steps(bridge, linear_variance(8 * factor, 1.0))), end) ** 2

    return [math.sqrt(sum(squared(each, factor) for each in range(sets)) / sets) for factor in factors]


def _drawn(start: Law, drift: RatioDrift, steps: int, drifts: int) -> Law:
    """The law at the end of stage 1, of which each cell is carried by so many draws of the drift, in all, at a step."""
    law, h = start, 1 / steps
    for k in range(steps):
        times = -(-drifts // len(law.mass))
        x = law.at.repeat(times)[:, None]
        law = law.spread((x + h * drift(x, k * h)).view(times, -1), math.sqrt(drift.tau * h))
    return law


def euler_steps(bridge: MixtureFollmer, steps: int, *, exponential: bool = False) -> list[NoisyStep]:
    """Steps of stage 1 by the exact drift, of Euler and Maruyama.

    Args:
        bridge: Whose drift.
        steps: N1.
        exponential: Whether noise is that of the exponential integrator, which is exact where data are one point.
    """
    h = 1 / steps

    def step(t: float) -> NoisyStep:
        wide, narrow = (bridge.tau - at * (bridge.tau - bridge.sigma**2) for at in (t, t + h))
        scale = math.sqrt(bridge.tau * h * (narrow / wide if exponential else 1))
        return lambda x, z: x + h * bridge.drift(x, t) + scale * z

    return [step(k * h) for k in range(steps)]


def level_steps(
    bridge: MixtureFollmer, levels: Sequence[float], step: Callable[..., Samples] = euler_maruyama
) -> list[NoisyStep]:
    """Steps of stage 2 down a ladder, by the exact denoiser and one of the steps of `sde.levels`."""

    def down(s: float, u: float) -> NoisyStep:
        return lambda x, z: step(x, bridge.denoised(x, s), s, u, z)

    return [down(s, u) for s, u in pairs_of(levels)]


def _read(function: Callable[[Tensor], Tensor], nodes: int = 2001) -> Callable[[Tensor], Tensor]:
    """A function (n, 1) -> (n,) read off its table, in straight lines between nodes."""
    at = torch.linspace(-REACH, REACH, nodes, dtype=torch.float64)
    values = function(at[:, None])
    return lambda x: interpolated(x[:, 0], at, values)
