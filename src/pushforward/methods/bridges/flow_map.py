r"""The deterministic sampler of a score model as a map: standard normal z to samples, the same x for the same z.

.. math:: x_h = m + \sqrt{h^2 + \sigma_d^2}\,z, \qquad \frac{dx}{ds} = \frac{x - D(x; s)}{s}, \qquad s = h \to 0

m is the data's mean, :math:`\sigma_d` their spread and h the highest level. Of data :math:`N(m, v I)` it is
:math:`z \mapsto m + \sqrt v\,z` for any h, and up to the order of the steps.

References:
    Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from pushforward.dynamics.bridges.clocks import Noisy, variance_exploding
from pushforward.dynamics.sde.process import Process
from pushforward.dynamics.sde.simulate import calls, simulate
from pushforward.errors import UsageError
from pushforward.methods.bridges.diffusion import step_of
from pushforward.randomness import stream
from pushforward.types import Denoises, Labels, Samples

__all__ = ["FlowMap"]


@dataclass(frozen=True)
class FlowMap:
    """z to x down the probability flow, without noise on the way.

    Attributes:
        model: What denoises.
        steps: Steps down its levels.
        sampler: multistep with one call a step, heun with two but in the last one, euler with one, of order 1.

    Raises:
        UsageError: If there is no step.
    """

    model: Denoises
    steps: int = 36
    sampler: Literal["multistep", "heun", "euler"] = "multistep"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"a flow of {self.steps} steps: give at least 1")

    def __call__(self, z: Tensor, labels: Labels | None = None) -> Samples:
        """Where the flow carries standard normal z (n, *event), of the given classes (n,)."""
        process, levels, start = self._process(labels)
        silent = stream(0, "sample")  # none of these steps draws from it
        return simulate(process, len(z), levels, step_of(self.sampler), silent, start=start.at(z))

    @property
    def calls(self) -> int:
        """Calls of the denoiser for one sample."""
        process, levels, _ = self._process(None)
        return calls(process, levels, step_of(self.sampler))

    def _process(self, labels: Labels | None) -> tuple[Process, list[float], Noisy]:
        levels = list(self.model.levels(self.steps))
        start = Noisy(self.model.mean, math.hypot(levels[0], self.model.spread))
        return variance_exploding(self.model.denoiser(labels), start, high=levels[0]), levels, start
