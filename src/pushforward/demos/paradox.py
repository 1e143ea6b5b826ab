"""Likelihood against samples: copies that score badly, noise that scores well, and what tells them apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from pushforward.demos.drawing import BLUE, INK, PALE, RED, SOFT, check_out, clean, save, sheet
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.likelihood.density import bits_per_dim, dilution_loss, parzen_log_density
from pushforward.metrics.two_sample.kernel import mmd
from pushforward.randomness import generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

__all__ = ["SHARE", "VARIANCES", "paradox"]

VARIANCES, SHARE, SPREAD = (1.0, 0.1, 0.01, 0.001), 0.01, 3.0
DIMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 3072)


@dataclass(frozen=True)
class _Draw:
    """Training and held-out data with the samples of the models, each (n, dim)."""

    train: Tensor
    held_out: Tensor
    samples: dict[str, Tensor]

    @classmethod
    def of(cls, n: int, dim: int, rng: np.random.Generator) -> _Draw:
        train, held_out, fresh, blur, wide = (torch.from_numpy(rng.standard_normal((n, dim))) for _ in range(5))
        spared = torch.from_numpy(rng.random((n, 1)) < SHARE)
        # Copies of each training point once are a perfect sample, but for the blur. Drawn with replacement some come
        # twice, and a two-sample test with a narrow kernel notices that: the repeats, not the copying.
        blur = VARIANCES[-1] ** 0.5 * blur
        samples = {
            "data": fresh,
            "copies": train + blur,
            "noise": torch.where(spared, fresh, SPREAD * wide),
            "repeats": train[torch.from_numpy(rng.integers(n, size=n))] + blur,
        }
        return cls(train, held_out, samples)


@dataclass(frozen=True)
class _Row:
    """What three judges say of one model."""

    log_density: float
    two_sample: float
    copying: float


def paradox(out: Path, seed: int = 0, *, n: int = 500, dim: int = 64, draws: int = 9) -> dict[str, float]:
    """Draw both paradoxes on standard normal data, where the true density is known.

    Args:
        out: Picture to write, .png, .svg or .pdf.
        seed: Seed of data and samples.
        n: Training data, held-out data and samples each.
        dim: Dimensions of a sample.
        draws: Independent draws of everything over which the two checks take their median.

    Returns:
        Log-likelihoods in nats per sample: `true`, and `train_V` and `held_out_V` of the copying model at each
        variance V; what the noisy model loses, `loss` in nats and `loss_bits_per_dim`; for fresh data, copies, noise
        and repeats (copies drawn with replacement, as the model itself would) the p-value of MMD (`two_sample_...`)
        and the z-score of the distances to the training data (`copying_...`, far below 0 for copies), medians over
        the draws.

    Raises:
        UsageError: If the file's format is unknown or matplotlib is missing.
    """
    check_out(out)
    rng = generator(seed, "data", part="paradox")
    many = [_Draw.of(n, dim, rng) for _ in range(draws)]
    train, held_out = many[0].train, many[0].held_out

    figure = sheet(10, 7)
    top, bottom = cast("list[SubFigure]", figure.subfigures(2, 1, height_ratios=(1.5, 1)))
    left, right = top.subplots(1, 2)
    log_p = _log_normal(held_out)
    loss = float(dilution_loss(log_p, _log_normal(held_out, SPREAD), SHARE).mean())
    true = float(log_p.mean())
    numbers = {"true": true} | _copies(left, train, held_out, true)
    numbers |= {"loss": loss, "loss_bits_per_dim": bits_per_dim(loss, dim)}
    _noise(right, rng)
    levels = {"data": true, "copies": numbers[f"held_out_{VARIANCES[-1]:g}"], "noise": true - loss}
    rows = {name: _Row(level, *_judged(many, name)) for name, level in levels.items()}
    numbers["two_sample_repeats"], numbers["copying_repeats"] = _judged(many, "repeats")
    _table(bottom, rows, rng)
    save(figure, out)
    for name, row in rows.items():
        numbers |= {f"two_sample_{name}": row.two_sample, f"copying_{name}": row.copying}
    return numbers


def _log_normal(x: Tensor, sigma: float = 1.0) -> Tensor:
    """Log density of N(0, sigma² I), (n, d) -> (n,)."""
    return -0.5 * (x / sigma).square().sum(1) - x.shape[1] * (math.log(sigma) + 0.5 * math.log(2 * math.pi))


def _judged(many: list[_Draw], name: str) -> tuple[float, float]:
    """Median p-value of MMD against held-out data, and median z-score of distances to the training data."""
    tests = [mmd(draw.samples[name], draw.held_out, permutations=199, seed=k).p for k, draw in enumerate(many)]
    checks = [memorisation(draw.samples[name], draw.held_out, draw.train, permutations=0) for draw in many]
    return median(p for p in tests if p is not None), median(check["copying"].value for check in checks)


def _signed(value: float, digits: int = 1) -> str:
    """A number with thousands apart and a real minus sign."""
    return f"{value:+,.{digits}f}".replace("-", "−")


def _copies(axes: Axes, train: Tensor, held_out: Tensor, true: float) -> dict[str, float]:
    """Log-likelihood of equal Gaussians round the training data, on these and on held-out data."""
    numbers = dict[str, float]()
    path = np.geomspace(VARIANCES[0], VARIANCES[-1], 25)
    axes.axhline(true, color=SOFT, linewidth=1)
    axes.text(7e-4, true - 16, f"the data's own law: {_signed(true, 0)}", color=SOFT, fontsize=9, ha="right", va="top")
    for name, data, colour in (("train", train, BLUE), ("held_out", held_out, RED)):
        axes.plot(path, [float(parzen_log_density(data, train, v).mean()) for v in path], color=colour, linewidth=2)
        for variance in VARIANCES:
            value = float(parzen_log_density(data, train, variance).mean())
            numbers[f"{name}_{variance:g}"] = value
            axes.plot(variance, value, "o", color=colour, markersize=4.5)
            shift = (0, 7) if data is train else (-4, -14)
            axes.annotate(_signed(value, 0), (variance, value), shift, textcoords="offset points", ha="center",
                          color=colour, fontsize=8.5)  # fmt: skip
    axes.text(0.04, 165, "on its training data", color=BLUE, fontsize=9, ha="center")
    axes.text(0.35, -2600, "on held-out data", color=RED, fontsize=9, ha="center")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=200)
    axes.set_yticks([100, 0, -100, -1000, -10000], ["100", "0", "−100", "−1,000", "−10,000"])
    axes.minorticks_off()
    axes.set(xlim=(1.6, 6e-4), ylim=(-1e5, 290))
    axes.set_xticks(VARIANCES, [f"{v:g}" for v in VARIANCES])
    clean(axes, "A Gaussian round each training point:\nbetter copies, worse likelihood",
          "variance ε of each Gaussian (to the right: sharper copies)", "log-likelihood, nats per sample")  # fmt: skip
    return numbers


def _noise(axes: Axes, rng: np.random.Generator) -> None:
    """Loss of the noisy model in bits per dimension, against the number of dimensions."""
    bound = -math.log(SHARE)
    losses = []
    for dim in DIMS:
        x = torch.from_numpy(rng.standard_normal((500, dim)))
        losses.append(bits_per_dim(float(dilution_loss(_log_normal(x), _log_normal(x, SPREAD), SHARE).mean()), dim))
    axes.plot(DIMS, [bits_per_dim(bound, dim) for dim in DIMS], color=SOFT, linewidth=1)
    axes.plot(DIMS, losses, "o", color=RED, markersize=5)
    axes.text(1.6, 7.2, "bound: log₂ 100 / d", color=SOFT, fontsize=9)
    for dim, word in ((64, "8 × 8 grey"), (3072, "32 × 32 colour")):
        cost = bits_per_dim(bound, dim)
        axes.annotate(f"{word}:\n{cost:#.2g} bits", (dim, cost), (-6, -8), textcoords="offset points", ha="right",
                      va="top", color=RED, fontsize=9)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axes.set_yticks([1, 0.1, 0.01, 0.001], ["1", "0.1", "0.01", "0.001"])
    axes.set(ylim=(4e-4, 12), xlim=(0.8, 6000))
    clean(axes, "1 % data, 99 % noise:\nthe likelihood hardly notices", "dimensions d of a sample",
          "loss of likelihood, bits per dimension")  # fmt: skip


def _table(part: SubFigure, rows: dict[str, _Row], rng: np.random.Generator) -> None:
    """One row a model: how its samples look, and what likelihood, two-sample test and copying check say."""
    axes = part.subplots()
    axes.set_axis_off()
    heads = ((21, "what such samples look like (8 × 8 digits)", "left"), (77, "log-likelihood", "right"),
             (88, "two-sample p", "right"), (99.5, "copying z", "right"))  # fmt: skip
    for x, head, side in heads:
        axes.text(x, 31.5, head, fontsize=9, color=SOFT, ha=side, va="center")
    words = ("data", f"copies, ε = {VARIANCES[-1]:g}", "1 % data, 99 % noise")
    for k, (row, look, word) in enumerate(zip(rows.values(), _looks(rng), words)):
        y = 24.5 - 10.2 * k
        axes.text(0, y, word, fontsize=9.5, color=INK, va="center")
        axes.imshow(look, cmap="gray_r", vmin=-1, vmax=1, extent=(21, 63, y - 4.4, y + 4.4), aspect="auto",
                    interpolation="nearest")  # fmt: skip
        verdicts = ((77, _signed(row.log_density), row.log_density < rows["data"].log_density - 100),
                    (88, f"{row.two_sample:.3f}", row.two_sample < 0.01),
                    (99.5, _signed(row.copying), row.copying < -4))  # fmt: skip
        for x, text, alarm in verdicts:
            colour, weight = (RED, "bold") if alarm else (INK, "normal")
            axes.text(x, y, text, fontsize=10, color=colour, ha="right", va="center", weight=weight)
        if k:
            axes.plot([0, 100], [y + 5.1, y + 5.1], color=PALE, linewidth=0.8)
    axes.set(xlim=(0, 100), ylim=(-1, 33.5))


def _looks(rng: np.random.Generator, rows: int = 2, columns: int = 12) -> list[np.ndarray]:
    """Digits, other digits, and static with one per cent of digits, laid out on white in [-1, 1]."""
    from sklearn.datasets import load_digits

    pixels, count = np.asarray(load_digits(return_X_y=True)[0]), rows * columns
    digits = pixels / 8 - 1
    data, copies, spared = digits[rng.permutation(len(digits))[: 3 * count]].reshape(3, count, 8, 8)
    static = np.where(rng.random((count, 1, 1)) < SHARE, spared, rng.standard_normal((count, 8, 8)))
    cells = [np.pad(x, ((0, 0), (0, 1), (0, 1)), constant_values=-1.0) for x in (data, copies, static)]
    return [x.reshape(rows, columns, 9, 9).swapaxes(1, 2).reshape(rows * 9, columns * 9) for x in cells]
