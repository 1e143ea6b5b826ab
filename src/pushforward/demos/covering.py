"""One Gaussian, two modes: which divergence covers both, which settles on one, and when that changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pushforward.demos.drawing import BLUE, GREEN, INK, PALE, RED, SOFT, check_out, clean, save, sheet
from pushforward.demos.fitting import (
    JSD,
    KL_DATA_MODEL,
    KL_MODEL_DATA,
    Fit,
    Grid,
    Rivals,
    crossing,
    fits,
    moments,
    pair,
    rivals,
)
from pushforward.densities.mixture import Mixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LINE", "PLANE", "covering"]

LINE = Mixture.of([[-2.0], [2.0]], sigma=0.5, weights=[0.8, 0.2])
PLANE = Mixture.of([[-1.5, -1.5], [1.5, 1.5]], sigma=0.6, weights=[0.7, 0.3])
KINDS = (("kl_pq", KL_DATA_MODEL, BLUE), ("kl_qp", KL_MODEL_DATA, RED), ("jsd", JSD, GREEN))
SWEEP = Grid.of(1, 40.0, 1601)  # in units of one mode's standard deviation
DASHED = (0, (4, 3))  # where JSD lies on KL(q‖p) both stay visible
HALF = "half the distance of the modes, in their σ"
DISTANCES = np.linspace(0.5, 6.0, 56)


def covering(out: Path) -> dict[str, float]:
    """Draw the fits on the line and in the plane, and how they change with the distance of the modes.

    Args:
        out: Picture to write, .png, .svg or .pdf.

    Returns:
        Mean, standard deviation and value of the best fit to `LINE` and value of the best fit to `PLANE`, by
        divergence (`kl_pq` is KL(data‖model), `kl_qp` KL(model‖data), `jsd` in nats, with its ½), and the half
        distance, in a mode's standard deviations, from where on one mode beats both.

    Raises:
        UsageError: If the file's format is unknown or matplotlib is missing.
    """
    check_out(out)
    figure = sheet(10, 8)
    (line, plane), (width, value) = figure.subplots(2, 2)
    numbers = _on_the_line(line) | _in_the_plane(plane)
    brackets = {"kl_qp": (2.6, 3.4), "jsd": (3.6, 4.6)}
    switch = {name: crossing(kind, brackets[name], SWEEP) for name, kind, _ in KINDS[1:]}
    sweeps = {
        name: [rivals(kind, float(a), SWEEP) for a in np.sort([*DISTANCES, switch[name]])]
        for name, kind, _ in KINDS[1:]
    }
    _widths(width, sweeps, switch)
    _branches(value, sweeps["jsd"], switch["jsd"])
    save(figure, out)
    return numbers | {f"one_mode_wins_beyond_{name}": distance for name, distance in switch.items()}


def _on_the_line(axes: Axes) -> dict[str, float]:
    x, grid, numbers = np.linspace(-6, 6, 601), Grid.of(1, 12.0, 2401), dict[str, float]()
    target = LINE.log_prob(x[:, None]).exp().numpy()
    axes.fill_between(x, target, color=PALE, linewidth=0)
    places = {"kl_pq": (0.1, 0.222), "kl_qp": (-1.35, 0.74), "jsd": (-1.35, 0.655)}
    for name, kind, colour in KINDS:
        best = fits(kind, LINE, grid)[0]
        mean, sigma = float(best.mean), best.sigma
        density = np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * (2 * np.pi) ** 0.5)
        axes.plot(x, density, color=colour, linewidth=2.0, linestyle=DASHED if name == "jsd" else "-")
        axes.text(*places[name], f"{kind.name} = {best.value:.3f}", color=colour, fontsize=9)
        numbers |= {f"line_{name}_mean": mean, f"line_{name}_sigma": sigma, f"line_{name}": best.value}
    axes.text(2.0, 0.172, "data p", color=INK, fontsize=9, ha="center")
    clean(axes, "The best single Gaussian q for each divergence", "x", "density")
    axes.set(ylim=(0, 0.85), xlim=(-6, 6))
    return numbers


def _in_the_plane(axes: Axes) -> dict[str, float]:
    numbers, grid, axis = dict[str, float](), Grid.of(2, 9.0, 181), torch.linspace(-4.6, 4.6, 185).double()
    density = PLANE.log_prob(torch.cartesian_prod(axis, axis)).exp().reshape(len(axis), len(axis)).T
    top = float(density.max())
    levels = [top * share for share in (0.02, 0.15, 0.5, 1.01)]
    axes.contourf(axis, axis, density, levels=levels, colors=["#ECEEF0", "#D5D9DD", "#B9BEC4"])
    places = {"kl_pq": (-0.3, 3.05), "kl_qp": (-0.15, -2.3), "jsd": (-0.15, -2.85)}
    for name, kind, colour in KINDS:
        for rank, fit in enumerate(fits(kind, PLANE, grid)):
            style = ":" if rank else DASHED if name == "jsd" else "-"
            axes.plot(*_ellipse(fit), color=colour, linewidth=0.9 if rank else 2.0, linestyle=style)
            if rank == 0:
                axes.text(*places[name], f"{kind.name} = {fit.value:.3f}", color=colour, fontsize=9)
                numbers |= {f"plane_{name}": fit.value, f"plane_{name}_mean": float(fit.mean[0])}
    clean(axes, "The same in the plane", "x₁", "x₂")
    axes.text(-5.7, 4.4, "2σ ellipses; dotted: other local optima", color=SOFT, fontsize=8.5, va="top")
    axes.set(xlim=(-5.9, 5.9), ylim=(-4.6, 4.6), aspect="equal")
    return numbers


def _ellipse(fit: Fit, radius: float = 2.0) -> Tensor:
    angle = torch.linspace(0, 2 * torch.pi, 181, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])
    return fit.mean[:, None] + radius * torch.linalg.cholesky(fit.covariance) @ circle


def _widths(axes: Axes, sweeps: dict[str, list[Rivals]], switch: dict[str, float]) -> None:
    """Width of the best q, which falls from both modes' to one's."""
    axes.plot(DISTANCES, [float(moments(pair(a))[1]) ** 0.5 for a in DISTANCES], color=BLUE, linewidth=2)
    for name, kind, colour in KINDS[1:]:
        at = switch[name]
        near = [(each.distance, each.both.sigma) for each in sweeps[name] if each.both and each.distance <= at]
        far = [(each.distance, each.one.sigma) for each in sweeps[name] if each.one and each.distance >= at]
        for path in (near, far):
            axes.plot(*zip(*path), color=colour, linewidth=2, linestyle=DASHED if name == "jsd" else "-")
        ends = near[-1][1], far[0][1]
        axes.plot([at, at], ends, color=colour, linewidth=0.9, linestyle=":")
        axes.text(at + 0.08, sum(ends) / 2, f"{kind.name}: {at:.2f}σ", color=colour, fontsize=9)
    axes.text(5.0, 5.45, f"{KL_DATA_MODEL.name}: never", color=BLUE, fontsize=9, ha="right")
    clean(axes, "Two equal modes: when does sitting on one win?", HALF, "σ of the best q, in the modes' σ")
    axes.set(xlim=(0.5, 6), ylim=(0, 6.2))


def _branches(axes: Axes, sweep: list[Rivals], switch: float) -> None:
    """Values of the two kinds of optimum."""
    both = [(each.distance, each.both.value) for each in sweep if each.both]
    one = [(each.distance, each.one.value) for each in sweep if each.one]
    axes.plot(*zip(*both), color=GREEN, linewidth=2)
    axes.plot(*zip(*one), color=INK, linewidth=2)
    level = dict(both)[switch]
    axes.plot(switch, level, "o", color=INK, markersize=5)
    axes.text(switch - 0.1, level + 0.012, f"equal at {switch:.2f}σ", fontsize=9, color=INK, ha="right")
    axes.text(5.9, 0.247, "q covers both", color=GREEN, fontsize=9, ha="right", va="top")
    axes.text(5.9, 0.211, "q sits on one", color=INK, fontsize=9, ha="right", va="top")
    clean(axes, "JSD does not always seek: its two kinds of optimum", HALF, "JSD, nats")
    axes.set(xlim=(0.5, 6), ylim=(0, None))
