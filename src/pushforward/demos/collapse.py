r"""Posterior collapse: the same normal law, along the axes and turned, under a decoder with a width for each column.

    x ~ N((2, 3), R diag(9, 1) R^T);   p(z) = N(0, I),  p(x|z) = N(m(z), diag s^2),  q(z|x) = N(a(x), diag b(x)^2)

Both laws have the same entropy, so the best bound of both is -(1 + log 2 pi + log 3) = -3.9365 nats. Along the axes
p(x|z) reaches it without a code, and q(z|x) = p(z): the posterior collapses. Turned by 45 degrees independent columns
lose 0.51 nats, so that a code has to tell where a row lies along the diagonal.

Along the axes the optimum is flat: a code of where a row lies along one axis costs in rate just what it saves in
reconstruction. So columns are standardised first, as recipes do, with which training begins where p(x|z) with s = 1
and m = 0 is best already; nothing then asks for a code. Numbers are those of data units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.demos.drawing import BLUE, GREEN, INK, RED, SOFT, check_out, clean, save, sheet
from pushforward.densities.aggregate import divergence_of_dimensions
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.laws import StandardNormal
from pushforward.densities.likelihoods.normal import Normal
from pushforward.methods.latent.vae import VAE
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.nets.variational.sides import perceptrons
from pushforward.randomness import seeded, stream
from pushforward.recipes.parts.wiring import adam
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BEST", "Trained", "collapse", "rows_of", "trained"]

POINTS, SHARE = 15_000, 0.7  # rows, and the share that is learned from
MEAN, DEVIATIONS = (2.0, 3.0), (3.0, 1.0)
BEST = -(1 + math.log(2 * math.pi) + math.log(DEVIATIONS[0] * DEVIATIONS[1]))
CODE, WIDTH, BATCH, RATE, LOOKS = 2, 32, 256, 3e-3, 40
ANGLES = {"aligned": (0.0, BLUE), "turned": (45.0, RED)}


@dataclass(frozen=True)
class Trained:
    """What training came to, on held-out rows.

    Attributes:
        steps: When it was looked at.
        bounds: The evidence lower bound then, in nats in data units.
        rates: KL of each number of a code from N(0, 1) then, (looks, code), in nats.
        test: Held-out rows, (m, 2), in data units.
        means: Means of p(x|z) at their codes' middles, (m, 2).
    """

    steps: list[int]
    bounds: list[float]
    rates: Tensor
    test: Tensor
    means: Tensor


def collapse(out: Path, seed: int = 0, *, steps: int = 1500) -> dict[str, float]:
    """Draw the bound and the KL of each number of a code over steps, and what codes are decoded to.

    Args:
        out: Picture to write, .png, .svg or .pdf.
        seed: Of data, nets and training.
        steps: Of training.

    Returns:
        The best bound that there is, `best`, and what the laws themselves say of the held-out rows, `best_of_rows`,
        the same of both; and of the `aligned` law and the `turned` one the bound at the end, and the KL of each number
        of a code, the larger first. All are means over held-out rows, in nats.

    Raises:
        UsageError: If the file's format is unknown or matplotlib is missing.
    """
    check_out(out)
    found = {name: trained(angle, seed, steps) for name, (angle, _) in ANGLES.items()}
    figure = sheet(10, 8)
    (bound, rate), below = figure.subplots(2, 2)
    _over_steps(bound, rate, found)
    for axes, (name, one) in zip(below, found.items(), strict=True):
        _decoded(axes, name, one)
    save(figure, out)
    numbers = {"best": BEST, "best_of_rows": _of_law(seed)}
    for name, one in found.items():
        rates = one.rates[-1].sort(descending=True).values.tolist()
        numbers |= {f"{name}_bound": one.bounds[-1]} | {f"{name}_kl_{k + 1}": kl for k, kl in enumerate(rates)}
    return numbers


def rows_of(angle: float, seed: int) -> Tensor:
    """All rows of the law turned by an angle in degrees, (n, 2)."""
    turn = math.radians(angle)
    turned = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    z = stream(seed, "data", part="collapse").normal(POINTS, 2)
    return torch.tensor(MEAN) + (z * torch.tensor(DEVIATIONS)) @ turned.T


def _of_law(seed: int) -> float:
    """Mean log density of the held-out rows, whatever the angle, as they are made from the same normal numbers."""
    z = (rows_of(0.0, seed) - torch.tensor(MEAN)) / torch.tensor(DEVIATIONS)
    return BEST + 1 - float(z[round(SHARE * POINTS) :].square().sum(1).mean()) / 2


def trained(angle: float, seed: int = 0, steps: int = 1500) -> Trained:
    """Train on the law turned by an angle, and look at held-out rows on the way.

    Args:
        angle: In degrees; at 0 the larger deviation lies along the first axis.
        seed: Of data, nets and training.
        steps: Of training.
    """
    x = rows_of(angle, seed)
    cut = round(SHARE * POINTS)
    mean, deviation = x[:cut].mean(0), x[:cut].std(0)
    standard = (x - mean) / deviation
    train, test, volume = standard[:cut], standard[cut:], -float(deviation.log().sum())
    method, rng = _made(seed, steps), stream(seed, "train", part="rows")
    looks, bounds, rates = sorted({round(steps * k / LOOKS) for k in range(LOOKS + 1)}), list[float](), list[Tensor]()
    for step in range(steps + 1):
        if step in looks:
            e = stream(seed, "evaluate", part="collapse").normal(len(test), CODE)
            z, likelihood, own = method.inferred(test, e)
            bounds.append(float((likelihood + method.log_prior(z) - own).mean()) + volume)
            rates.append(divergence_of_dimensions(DiagonalNormal(*method.base(test))).mean(0))
        if step < steps:
            method.step(train[rng.integers(cut, BATCH)])
    means = method.decode(method.encode(test)).detach()
    return Trained(looks, bounds, torch.stack(rates), x[cut:], means * deviation + mean)


def _made(seed: int, steps: int) -> VAE:
    """One of two numbers, with a width for each column."""
    with seeded(seed):
        sides = perceptrons((2,), CODE, 2 * CODE, 1, width=WIDTH, depth=1)
        model = LatentModel(Encoder(sides.encoder, CODE), sides.decoder, Normal((2,)), StandardNormal(CODE))
    return VAE(Learner(model, adam(RATE, (0.9, 0.99)), schedule=cosine(steps, 0.01)), stream(seed, "train"))


def _over_steps(bound: Axes, rate: Axes, found: dict[str, Trained]) -> None:
    for name, one in found.items():
        colour = ANGLES[name][1]
        bound.plot(one.steps, one.bounds, color=colour, linewidth=2, label=f"{name}: {one.bounds[-1]:.3f} at the end")
        order = one.rates[-1].argsort(descending=True).tolist()
        for k, style in zip(order, ("-", ":")):
            end = float(one.rates[-1, k])
            rate.plot(one.steps, one.rates[:, k], style, color=colour, linewidth=2, label=f"{name}: {end:.3f}")
    bound.axhline(BEST, color=GREEN, linewidth=1.2)
    last, words = found["aligned"].steps[-1], f"−entropy of both, {BEST:.4f}"
    bound.text(last, BEST + 0.01, words, color=GREEN, fontsize=9, ha="right", va="bottom")
    lowest = min(one.bounds[-1] for one in found.values())
    bound.set_ylim(min(lowest, BEST) - 0.6, BEST + 0.12)
    clean(bound, "Bound on held-out rows", "step", "nats, in data units")
    clean(rate, "KL(q(z|x)‖p(z)) of each number of a code", "step", "nats")
    for axes in (bound, rate):
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _decoded(axes: Axes, name: str, one: Trained) -> None:
    rows = one.test[:1500]
    axes.plot(*rows.T, ".", color=SOFT, markersize=2, alpha=0.5)
    axes.plot(*one.means[:1500].T, ".", color=ANGLES[name][1], markersize=4)
    words = {"aligned": "Along the axes: no code, one mean", "turned": "Turned: codes tell where on the diagonal"}
    clean(axes, words[name], "x₁", "x₂")
    axes.set(xlim=(-9, 13), ylim=(-6, 12), aspect="equal")
