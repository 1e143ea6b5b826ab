r"""Annealed Langevin dynamics: down a ladder of noise levels, some Langevin steps on the score of each.

.. math:: x \leftarrow x + \alpha_i\nabla\log q_{s_i}(x) + \sqrt{2\alpha_i}\,\varepsilon, \qquad
    \alpha_i = \alpha\, s_i^2 / s_L^2

as the published code has it; its paper writes :math:`\alpha_i/2` for this :math:`\alpha_i`.

References:
    Generative modeling by estimating gradients of the data distribution (Song & Ermon, 2019), arXiv:1907.05600.
    Improved techniques for training score-based generative models (Song & Ermon, 2020), arXiv:2006.09011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pushforward.dynamics.langevin import Langevin
from pushforward.errors import UsageError
from pushforward.types import Denoiser, Randomness, Samples

__all__ = ["Annealed", "geometric_ladder"]


def geometric_ladder(levels: int, high: float, low: float) -> list[float]:
    """Levels with a constant ratio, from high to low, both among them.

    Raises:
        UsageError: If they are not in order, or fewer than two.
    """
    if levels < 2 or not 0 < low < high < math.inf:
        raise UsageError(f"{levels} levels from {high} to {low}: need two or more, and 0 < low < high")
    return [high * (low / high) ** (k / (levels - 1)) for k in range(levels)]


@dataclass(frozen=True)
class Annealed:
    r"""The sampler of noise-conditional score networks.

    Steps are not small: for normal data of variance v it settles, with :math:`c = v + s^2`, at the variance
    :math:`c / (1 - \alpha_i/(2c))`, which for one point and the published :math:`\alpha/s_L^2 = .2` is 1.11 s².

    Attributes:
        step: alpha, the step at the lowest level.
        rounds: Langevin steps at each level.
        denoise: Whether the mean of the data is taken at the end, which removes the noise of the last level.

    Raises:
        UsageError: If the step is not positive, or there are no rounds.
    """

    step: float = 2e-5
    rounds: int = 100
    denoise: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.step < math.inf or self.rounds < 1:
            raise UsageError(f"step {self.step}, {self.rounds} rounds: give a positive step and at least one round")

    def calls(self, ladder: Sequence[float]) -> int:
        """Calls of the denoiser that a sample costs."""
        return len(ladder) * self.rounds + self.denoise

    @torch.no_grad()
    def __call__(self, denoiser: Denoiser, x: Samples, ladder: Sequence[float], rng: Randomness) -> Samples:
        """Points (n, *event) after the last level, from points x."""
        step = Langevin(rng)
        for s in ladder:
            length = self.step * (s / ladder[-1]) ** 2
            for _ in range(self.rounds):
                x = step(lambda x, t=0.0, s=s: (denoiser(x, s) - x) / s**2, x, 0.0, length)
        return denoiser(x, ladder[-1]) if self.denoise else x
