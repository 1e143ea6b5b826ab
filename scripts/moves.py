"""Why several moves of VGrow collapsed, measured on the grid of 25 modes; prints and draws what docs/vgrow.md says.

    python scripts/moves.py cause --out docs/vgrow_moves.png        # three seeds, about six minutes on one core
    python scripts/moves.py others                                  # one seed, about three minutes

Every arm takes as many updates of the critic, the networks, the penalty and the rates are the same, and both rates and
the penalty fall over the arm's own run. Distances are in standard deviations of a mode.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mode_table import SHAPE, head, judged, mixture_of, row, scale
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, Dataset, source
from pushforward.demos.drawing import BLUE, INK, PALE, RED, SOFT, check_out, clean, save, sheet
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial import lag
from pushforward.methods.adversarial.vgrow import VGrow, shrinking
from pushforward.methods.sources import Latent, normal
from pushforward.metrics.known.modes import modes
from pushforward.nets import mlp
from pushforward.objectives.penalties import both
from pushforward.randomness import seeded, stream
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, geometric
from pushforward.types import Flow, Randomness, Samples, Velocity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RADIUS, LEFT = 0.1, 0.05  # of a move at the start, in standardised units, and what is left of it at the end
BATCH, WIDTH, RATE, PENALTY, SAMPLES, LOOKS = 192, 128, 1e-3, 0.05, 2500, 20
COLUMNS = SHAPE | {"pool's way": "{:.3g}", "generator's": "{:.3g}", "lag": "{:.2g}", "stale": "{:.2f}"}
SHOWN = 0.5  # share of the run at which a pool is drawn


@dataclass(frozen=True)
class Arm:
    """One setting of the outer loop; `held` is whether a radius holds the particles.

    `each` is how many updates the critic makes before a move.
    """

    moves: int = 3
    fits: int = 1
    step: float = 0.5
    pool: int = 1
    held: bool = False
    each: int = 1


FREE, HELD = "3 moves, free", "3 moves, held"
ARMS = {
    "cause": {
        "1 move": Arm(moves=1, step=1.0),
        "1 move, 3 updates": Arm(moves=1, step=1.0, each=3),
        FREE: Arm(),
        HELD: Arm(held=True),
        "3 moves, held, 10 fits": Arm(fits=10, held=True),
    },
    "others": {
        "3 moves, free, 10 fits": Arm(fits=10),
        "3 moves, free, step .01": Arm(step=0.01),
        "3 moves, free, step .001": Arm(step=0.001),
        "3 moves, free, step .0003": Arm(step=0.0003),
        "3 moves, held, pool of 5": Arm(pool=5, held=True),
        "1 move, 3 updates, 10 fits": Arm(moves=1, step=1.0, each=3, fits=10),
        "1 move, held, 3 updates, 10 fits": Arm(moves=1, step=1.0, each=3, fits=10, held=True),
    },
}
SEEDS = {"cause": 3, "others": 1}


@dataclass
class Watched:
    """Stands between a method and its flow and latents, and keeps what the last pool was and where it went."""

    flow: Flow
    latent: Latent
    z: list[Tensor] = field(default_factory=list)
    way: list[Samples] = field(default_factory=list)
    shown: Samples = field(default_factory=lambda: torch.empty(0))
    end: Samples = field(default_factory=lambda: torch.empty(0))

    def draw(self, rng: Randomness, n: int) -> Tensor:
        """Latents, which are kept."""
        self.z.append(self.latent(rng, n))
        return self.z[-1]

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The flow's, which notes the points that it is asked at."""
        v, self.shown = self.flow.velocity(q, p), q

        def noted(x: Samples, t: float = 0.0) -> Samples:
            self.way.append(x)
            return v(x, t)

        return noted

    def arrived(self, x: Samples) -> Samples:
        """The points as they are; of each move the last ones count."""
        self.end = x
        return x


@dataclass
class Course:
    """What a run was like at its looks: `at` so many updates of the critic, means over the pools since the look before.

    `gone` and `made` are the root mean square way of each pool and of the generator in its step, in standard deviations
    of a mode; `trails` the points of the pool that is drawn, (moves + 1, n, 2), in data units.
    """

    at: list[int] = field(default_factory=list)
    modes: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    made: list[float] = field(default_factory=list)
    trails: np.ndarray = field(default_factory=lambda: np.empty(0))
    result: dict[str, float] = field(default_factory=dict)


def run(arm: Arm, updates: int, seed: int) -> Course:
    """Train one arm."""
    data = source.load("toy:grid25", seed=seed)
    steps, sigma = updates // (arm.moves * arm.each), scale(data)
    method, watched = _wired(arm, steps, seed)
    course, every = Course(), max(1, steps // LOOKS)
    recent: list[list[float]] = []
    learning = method.learn(Batches(data.train, BATCH, seed=seed))
    for step in range(1, steps + 1):
        watched.z, watched.way = [], []
        next(learning)
        with torch.no_grad():
            now = method.generator.net(watched.z[0])
        start, end = watched.way[0][:BATCH], watched.end[:BATCH]
        left, way = lag.kept_up(now, end, start)
        made, _ = lag.kept_up(now, start, start)
        course.gone.append(float(way) ** 0.5 / sigma)
        course.made.append(float(made) ** 0.5 / sigma)
        recent.append([float(left), float(way), float(lag.apart(now, watched.shown))])
        if step == round(SHOWN * steps):
            course.trails = np.stack([data.decode(x[:BATCH]) for x in (*watched.way, watched.end)])
        if step % every == 0:
            lefts, ways, stale = np.mean(recent, axis=0)
            course.at.append(step * arm.moves * arm.each)
            course.stale.append(float(stale))
            course.lags.append(float(lefts / ways))
            course.modes.append(_there(method, data))
            recent.clear()
    course.result = judged(data, _samples(method)) | {
        "pool's way": float(np.median(course.gone)),
        "generator's": float(np.median(course.made)),
        "lag": course.lags[-1],
        "stale": course.stale[-1],
    }
    return course


def _wired(arm: Arm, steps: int, seed: int) -> tuple[VGrow, Watched]:
    """Networks, penalty and rates of every arm, and its outer loop."""
    with seeded(seed):
        g = mlp.generator(2, 2, width=WIDTH, depth=3)
        d = mlp.critic(2, width=WIDTH, depth=3, activation=partial(nn.LeakyReLU, 0.2))
    adam = partial(Adam, lr=RATE, betas=(0.0, 0.99), fused=True)
    updates = steps * arm.moves * arm.each
    generator = Learner(g, adam, ema=0.999, schedule=cosine(steps * arm.pool * arm.fits))
    critic = Learner(d, adam, schedule=cosine(updates))
    flow = CriticFlow(
        critic, penalties=(partial(both, weight=PENALTY),), penalty_schedule=geometric(updates, 1e-3), every=4,
        steps=arm.each,
    )  # fmt: skip
    watched = Watched(flow, normal(2))
    radius = shrinking(RADIUS if arm.held else math.inf, geometric(steps, LEFT))
    method = VGrow(
        generator, watched, watched.draw, stream(seed, "train"), pool=arm.pool, moves=arm.moves, fits=arm.fits,
        step=arm.step, radius=radius, project=watched.arrived,
    )  # fmt: skip
    return method, watched


def _there(method: VGrow, data: Dataset) -> float:
    """Modes with 20 of 2,500 samples, which are the same draw of latents at each look."""
    known = mixture_of(data)
    return modes(torch.as_tensor(data.decode(_samples(method))), known.means, known.sigma)["modes_captured_20"].value


def _samples(method: VGrow) -> Tensor:
    return method.sample(SAMPLES, stream(1, "sample"))


def picture(found: dict[str, list[Course]], out: Path) -> None:
    """Where a pool of each goes in its moves, and how the two runs go."""
    figure = sheet(12, 4.2)
    axes = figure.subplot_mosaic([["free", "held", "modes"], ["free", "held", "stale"]], width_ratios=(1, 1, 0.95))
    centres = source.load("toy:grid25", seed=0).mixture
    assert centres is not None
    for place, name, title, colour in (
        ("free", FREE, "Three moves of a pool, step .5", RED),
        ("held", HELD, "The same, held within a radius", BLUE),
    ):
        _trails(axes[place], found[name][0].trails, centres.means.numpy(), title, colour)
    for what, title in (("modes", "Modes with 20 of 2,500"), ("stale", "stale: 1 if the critic's cloud lies apart")):
        for name, colour, label in ((FREE, RED, "free"), (HELD, BLUE, "held")):
            for course in found[name]:
                known = label if course is found[name][0] else None
                values: Any = getattr(course, what)
                axes[what].plot(course.at, values, color=colour, linewidth=1.4, alpha=0.8, label=known)
        clean(axes[what], title, "updates of the critic" if what == "stale" else "")
        axes[what].grid(axis="y", color=PALE, linewidth=0.6)
    axes["modes"].axhline(25, color=SOFT, linewidth=0.8, linestyle=":")
    axes["stale"].axhline(0.5, color=SOFT, linewidth=0.8, linestyle=":")
    axes["stale"].set_ylim(0, 1.04)
    axes["modes"].legend(frameon=False, fontsize=8.5, labelcolor=INK)
    save(figure, out)


def _trails(axes: Axes, trails: np.ndarray, centres: np.ndarray, title: str, colour: str) -> None:
    """Lines from where the particles were drawn to where they end, which is a dot."""
    axes.plot(*centres.T, "o", color="none", markeredgecolor=SOFT, markersize=7, zorder=1)
    axes.plot(*trails.transpose(2, 0, 1), color=colour, linewidth=0.6, alpha=0.55, zorder=2)
    axes.plot(*trails[0].T, ".", color=INK, markersize=2.5, zorder=3)
    axes.plot(*trails[-1].T, ".", color=colour, markersize=4.5, zorder=4)
    reach = max(5.2, 1.05 * float(np.quantile(np.abs(trails), 0.99)))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    clean(axes, title)


def main() -> None:
    """Train the arms, print the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(ARMS))
    parser.add_argument("--seeds", type=int, help="three for cause, one for others where omitted")
    parser.add_argument("--updates", type=int, default=3000, help="of the critic, the same for every arm")
    parser.add_argument("--out", type=Path, help="the picture, .png, .svg or .pdf; of cause only")
    asked = parser.parse_args()
    seeds = SEEDS[asked.what] if asked.seeds is None else asked.seeds
    if seeds < 1 or asked.updates < 10 * LOOKS:
        parser.error(f"--seeds {seeds} --updates {asked.updates}: give 1 and {10 * LOOKS} at the least")
    if asked.out is not None and asked.what != "cause":
        parser.error(f"--out {asked.out}: the picture is of cause")
    if asked.out is not None:
        check_out(asked.out)
    torch.set_num_threads(1)
    print(head(COLUMNS))
    found: dict[str, list[Course]] = {}
    for name, arm in ARMS[asked.what].items():
        found[name] = [run(arm, asked.updates, seed) for seed in range(seeds)]
        print(row(name, [course.result for course in found[name]], COLUMNS), flush=True)
    if asked.out is not None:
        picture(found, asked.out)


if __name__ == "__main__":
    main()
