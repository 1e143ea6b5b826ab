"""What gives modes their shape, measured on the grid of 25 modes; prints and draws what docs/vgrow.md says.

    python scripts/shape.py --steps 6000 --out docs/vgrow_shape.png    # three seeds, a quarter of an hour on one core

Every arm is `toy_vgrow` with one move and as many steps. Those before the default differ from "critic alone", which has
no random waves and a penalty that falls to .02, in what their names say.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mode_table import SHAPE, head, judged, mixture_of, row, scale
from torch import Tensor, nn

from pushforward.demos.drawing import BLUE, INK, PALE, RED, check_out, clean, save, sheet
from pushforward.flows.critic import CriticFlow
from pushforward.flows.local.handover import Handover
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.randomness import stream
from pushforward.recipes import RECIPES
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train
from pushforward.training.schedule import geometric
from pushforward.types import Critic, Flow, Randomness, Samples, Velocity

if TYPE_CHECKING:
    from matplotlib.patches import Circle

SAMPLES, SNAPSHOTS = 10_000, 20
NOISE = 0.3  # of the instances at first, in standardised units
COLUMNS = SHAPE | {"centre": "{:.2f}", "correlation": "{:.2f}"}
CALIBRATED = 0.995  # quantile of the critic's log-ratio at which everything is kept


@dataclass
class Noisy:
    """A flow that sees both clouds through normal noise, which falls to half a mode's width."""

    flow: Flow
    rng: Randomness
    steps: int
    sigma: float
    calls: int = 0
    logs: dict[str, Tensor] = field(default_factory=dict)

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The field of the noisy clouds."""
        noise = NOISE * geometric(self.steps, self.sigma / 2 / NOISE)(self.calls)
        self.calls += 1
        return self.flow.velocity(*(x + noise * self.rng.normal(*x.shape) for x in (q, p)))


@dataclass(frozen=True)
class Arm:
    """Options that set an arm apart, what is done to the experiment, and how it is sampled in the end."""

    options: Mapping[str, Any] = field(default_factory=dict)
    changed: Callable[[Experiment, int], None] = lambda experiment, seed: None
    sampled: Callable[[VGrow, list[nn.Module], Critic], Tensor] | None = None


def noisy(experiment: Experiment, seed: int) -> None:
    """The critic sees noise on samples and data."""
    method = _vgrow(experiment)
    method.flow = Noisy(method.flow, stream(seed, "train", part="noise"), experiment.steps, scale(experiment.data))


def plainly(method: VGrow, snapshots: list[nn.Module], critic: Critic) -> Tensor:
    """Samples of the average."""
    return method.sample(SAMPLES, stream(1, "sample"))


def mixed(method: VGrow, snapshots: list[nn.Module], critic: Critic) -> Tensor:
    """As many samples of each of the last snapshots of the net itself."""
    z = stream(1, "sample").normal(SAMPLES, 2)
    return torch.cat([net(part) for net, part in zip(snapshots, z.chunk(len(snapshots)), strict=True)])


def calibrated(method: VGrow, snapshots: list[nn.Module], critic: Critic) -> Tensor:
    """Samples kept with a probability in proportion to the critic's p/q."""
    x = method.sample(4 * SAMPLES, stream(1, "sample"))
    score = critic(x)
    keep = torch.exp(score - score.quantile(CALIBRATED)) > stream(1, "sample", part="kept").uniform(len(x)).to(x)
    return x[keep][:SAMPLES]


BASE, WAVES = "critic alone", "the default"
ALONE: dict[str, Any] = {"last": 0.0, "fourier": 0, "penalty_end": 0.02}
ARMS = {
    "from usual weights": Arm(ALONE | {"begin": "net", "octaves": 0}),
    "from usual weights, octaves": Arm(ALONE | {"begin": "net"}),
    "from the normal law, no octaves": Arm(ALONE | {"octaves": 0}),
    BASE: Arm(ALONE),
    "mixture of the last iterates": Arm(ALONE, sampled=mixed),
    "calibrated by the critic": Arm(ALONE, sampled=calibrated),
    "instance noise": Arm(ALONE, noisy),
    "average a tenth as long": Arm(ALONE | {"ema": 0.99}),
    "penalty to .3": Arm(ALONE | {"penalty_end": 0.3}),
    "kernels take over": Arm(ALONE | {"last": 0.4}),
    "random waves": Arm(ALONE | {"fourier": 32}),
    WAVES: Arm(),
    "the default, kernels take over": Arm({"last": 0.4}),
}


def _vgrow(experiment: Experiment) -> VGrow:
    assert isinstance(experiment.method, VGrow)
    return experiment.method


def _critic(flow: Flow) -> CriticFlow:
    flow = flow.flow if isinstance(flow, Noisy) else flow.first if isinstance(flow, Handover) else flow
    assert isinstance(flow, CriticFlow)
    return flow


def run(arms: Sequence[Arm], steps: int, seed: int) -> list[tuple[dict[str, float], np.ndarray]]:
    """Train one experiment, and judge the samples of every arm that differs in sampling alone."""
    experiment = RECIPES["toy_vgrow"](data="toy:grid25", steps=steps, seed=seed, **arms[0].options)
    arms[0].changed(experiment, seed)
    method, snapshots = _vgrow(experiment), list[nn.Module]()
    for step, _ in enumerate(train(experiment), 1):
        if step > 0.9 * steps and step % max(1, steps // (10 * SNAPSHOTS)) == 0:
            snapshots.append(deepcopy(method.generator.net).requires_grad_(False))
    with torch.no_grad():
        critic = _critic(method.flow).scores
        clouds = [(arm.sampled or plainly)(method, snapshots, critic) for arm in arms]
    return [(judged(experiment.data, x), _about(experiment, x)) for x in clouds]


def _about(experiment: Experiment, x: Tensor) -> np.ndarray:
    """Where samples lie about the nearest centre, in widths of a mode."""
    known = mixture_of(experiment.data)
    y = torch.as_tensor(experiment.data.decode(x)).double()
    return ((y - known.means[torch.cdist(y, known.means).argmin(1)]) / known.sigma).numpy()


def picture(clouds: dict[str, np.ndarray], out: Path) -> None:
    """All modes laid over each other, of the critic alone, the default, and the mixture itself."""
    figure = sheet(10.5, 3.7)
    perfect = np.random.default_rng(0).normal(size=(SAMPLES, 2))
    panels = (("the data's law", perfect, INK), (BASE, clouds[BASE], RED), (WAVES, clouds[WAVES], BLUE))
    for axes, (title, cloud, colour) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.plot(*cloud.T, ".", color=colour, markersize=1.2, alpha=0.35)
        axes.add_patch(_circle(1.0))
        axes.add_patch(_circle(3.0))
        axes.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), aspect="equal")
        clean(axes, title, "widths of a mode")
        axes.grid(color=PALE, linewidth=0.6)
    save(figure, out)


def _circle(radius: float) -> Circle:
    from matplotlib.patches import Circle

    return Circle((0, 0), radius, fill=False, edgecolor=INK, linewidth=0.8, linestyle=":")


def main() -> None:
    """Train the arms, print the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8000, help="the same for every arm")
    parser.add_argument("--out", type=Path, help="the picture, .png, .svg or .pdf, of all arms")
    parser.add_argument("--only", action="append", choices=tuple(ARMS), help="this arm alone, or more of them")
    asked = parser.parse_args()
    wanted = asked.only or list(ARMS)
    if asked.seeds < 1 or asked.steps < 10 * SNAPSHOTS:
        parser.error(f"--seeds {asked.seeds} --steps {asked.steps}: give 1 and {10 * SNAPSHOTS} at the least")
    if asked.out is not None and not {BASE, WAVES} <= {*wanted}:
        parser.error(f"--out {asked.out}: the picture shows {BASE!r} and {WAVES!r}; leave --only out")
    if asked.out is not None:
        check_out(asked.out)
    torch.set_num_threads(1)
    print(head(COLUMNS))
    clouds: dict[str, np.ndarray] = {}
    resampled = [name for name in wanted if ARMS[name].sampled is not None]
    trained = [name for name in ARMS if name in wanted and name not in resampled]
    for name in [BASE, *trained] if resampled and BASE not in trained else trained:
        names = [BASE, *resampled] if name == BASE else [name]
        found = [run([ARMS[each] for each in names], asked.steps, seed) for seed in range(asked.seeds)]
        for k, each in enumerate(names):
            print(row(each, [seed[k][0] for seed in found], COLUMNS), flush=True)
        clouds[name] = found[0][0][1]
    if asked.out is not None:
        picture(clouds, asked.out)


if __name__ == "__main__":
    main()
