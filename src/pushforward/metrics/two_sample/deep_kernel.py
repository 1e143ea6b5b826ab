r"""MMD test with a kernel learned on half of the rows (MMD-D), tested on the other half.

.. math::
    k(x, y) = [(1 - \epsilon)\, G_a(\varphi(x), \varphi(y)) + \epsilon]\, G_b(x, y), \qquad
    G_h(u, v) = \exp(-\|u - v\|^2 / 2 h^2)

A network :math:`\varphi`, both lengths and :math:`\epsilon \in (0, 1)` maximise the signal to noise J of the MMD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.kernels import median_bandwidth, squared_distances
from pushforward.metrics.core.comparison import Comparison, training_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.permutation import halves, permutation_measure, relabellings
from pushforward.metrics.core.reference import Given, compare, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.core.scale import Scale, fit_scale
from pushforward.metrics.two_sample.perceptron import outputs, weights
from pushforward.metrics.two_sample.quadratic import relabelled_mmd, signal_to_noise
from pushforward.randomness import generator, stream

__all__ = ["PARTS", "DeepKernel", "deep_kernel_test", "learn_kernel"]


@dataclass(frozen=True)
class DeepKernel:
    """A learned kernel.

    Attributes:
        layers: Weights of the network; see `perceptron`.
        logs: Logarithms of the lengths a and b in units of centre and scale, and the logit of epsilon, (3,).
        scale: What brings inputs to one unit.
    """

    layers: tuple[Tensor, ...]
    logs: Tensor
    scale: Scale

    def embed(self, x: Tensor) -> Tensor:
        """What the kernel compares: the standardised rows, and their features behind them."""
        rows = self.scale.standard(x).to(self.logs.dtype)
        return torch.cat([rows, outputs(rows, self.layers)], 1)

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel matrix (n, m) of embedded rows."""
        d, (a, b), epsilon = len(self.scale.centre), (-2 * self.logs[:2]).exp() / 2, self.logs[2].sigmoid()
        learned = torch.exp(-a * squared_distances(x[:, d:], y[:, d:]))
        return ((1 - epsilon) * learned + epsilon) * torch.exp(-b * squared_distances(x[:, :d], y[:, :d]))

    def double(self) -> DeepKernel:
        """The same kernel in float64, without gradients."""
        layers = tuple(layer.detach().double() for layer in self.layers)
        return DeepKernel(layers, self.logs.detach().double(), self.scale)


def learn_kernel(
    q: Tensor,
    p: Tensor,
    *,
    width: int = 50,
    steps: int = 200,
    rate: float = 1e-2,
    batch: int = 256,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> DeepKernel:
    """A kernel whose MMD stands out most from its noise on the rows given; Adam on J, equally many rows of each.

    Args:
        q: Model samples, (n, d), that the test will not see.
        p: Data samples, (m, d), likewise.
        width: Units of each of two hidden layers, and features.
        steps: Steps of Adam.
        rate: Their size.
        batch: Rows of each in a step, drawn anew where there are more.
        seed: Seed of weights and batches.
        tick: Told the fraction done.
    """
    rows, rng = torch.cat([q, p]).double(), stream(seed, "evaluate", part="learned kernel").generator
    scale = fit_scale(rows)
    layers, logs = weights((rows.shape[1], width, width, width), rng), torch.tensor([0.0, 0.0, -2.0])
    kernel = DeepKernel(tuple(layers), logs, scale)
    with torch.no_grad():
        start = kernel.embed(rows)
        for k, part in enumerate((start[:, rows.shape[1] :], start[:, : rows.shape[1]])):
            logs[k] = float(np.log(median_bandwidth(part, seed=seed)))
    optimiser = torch.optim.Adam([*layers, logs.requires_grad_()], rate)
    n = min(len(q), len(p), batch)
    for step in range(steps):
        some = rows[torch.cat([_draw(len(q), n, rng), len(q) + _draw(len(p), n, rng)])]
        embedded = kernel.embed(some)
        matrix = kernel.matrix(embedded, embedded)
        own = matrix.diagonal()
        to_q, to_p = matrix[:, :n].sum(1), matrix[:, n:].sum(1)
        optimiser.zero_grad()
        (-signal_to_noise(to_q[:n] - own[:n], to_p[n:] - own[n:], to_p[:n], to_q[n:], 1.0)).backward()
        optimiser.step()
        if tick is not None:
            tick((step + 1) / steps)
    return kernel.double()


def deep_kernel_test(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    steps: int = 200,
    rate: float = 1e-2,
    train_fraction: float = 0.5,
    permutations: int = 200,
    max_n: int = 2000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""Unbiased MMD² under a kernel learned on other rows, with its exact permutation p-value; the floor is 0.

    Worth its price where laws differ in shape at a small scale (correlations within modes, textures) and there are
    some hundred rows; on a plain shift `kernel.mmd`, which tests all rows, sees more. Values under kernels learned
    from different data do not compare: compare p-values.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space that the network starts from.
        steps: Steps of Adam.
        rate: Their size.
        train_fraction: Share of the rows that the kernel is learned on.
        permutations: Relabellings B.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets, split, network and relabellings.
        budget: Bytes that the temporaries of one tile may take.
        tick: Told the fraction done.

    Raises:
        DataError: If the samples do not fit together, or are too few to part.
        UsageError: If the share learned on is not between 0 and 1.

    References:
        Learning deep kernels for non-parametric two-sample tests (Liu et al., 2020), arXiv:2002.09116.
    """
    if not 0 < train_fraction < 1:
        raise UsageError(f"train_fraction is {train_fraction}: give a share between 0 and 1, such as 0.5")
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    rng = generator(seed, "evaluate", part="deep_kernel")
    p = subset(p, max_n, rng)
    (q_other, q), (p_other, p) = halves(q, rng, train_fraction), halves(p, rng, train_fraction)
    report = tick or (lambda _: None)
    kernel = learn_kernel(q_other, p_other, steps=steps, rate=rate, seed=seed, tick=lambda done: report(0.8 * done))
    labels, sizes = relabellings(len(q), len(p), permutations, seed=seed), (len(q), len(p))
    values, rounding = relabelled_mmd(kernel.embed(torch.cat([q, p])), labels, lambda x, y: iter([kernel.matrix(x, y)]),
                                      budget=budget, tick=lambda done: report(0.8 + 0.2 * done))  # fmt: skip
    other = f"{len(q_other)} and {len(p_other)} other rows"
    protocol: Words = {"kernel": "deep", "estimator": "unbiased", "chosen_on": other}
    protocol |= {"steps": steps, "rate": rate, "seed": seed, "max_n": max_n}
    return permutation_measure(values[0], sizes, features.id, protocol, floor=0.0, rounding=float(rounding[0]))


def _draw(rows: int, n: int, rng: torch.Generator) -> Tensor:
    """n different rows; all in order where there are no more."""
    return torch.arange(rows) if rows == n else torch.randperm(rows, generator=rng)[:n]


def _part(c: Comparison) -> Found:
    found = deep_kernel_test(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                             budget=c.budget, tick=c.tick)  # fmt: skip
    return named({"mmd_deep": found})


PARTS = (
    Part(
        "deep", "kernel test with a kernel learned on one half", _part, training_cost,
        {"mmd_deep": "Kernel distance with a kernel learned on one half, tested on the other"}, test=True, place=80,
    ),
)  # fmt: skip
