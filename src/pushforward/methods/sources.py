"""What samples come from: laws of latents, and one pass of nets over them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.densities.latents import Gaussian, Uniform, normal
from pushforward.nets.blocks import Box
from pushforward.training.learner import Learner
from pushforward.types import Labels, Randomness, Samples

__all__ = ["Box", "Gaussian", "Latent", "OnePass", "Pass", "Spread", "Uniform", "generate", "normal"]

ROWS = 1024  # rows that a law of samples is taken from, at the most


class Latent(Protocol):
    """A law of latents: (rng, n) -> z."""

    def __call__(self, rng: Randomness, n: int) -> Tensor: ...


@dataclass(frozen=True)
class Pass:
    """Samples as one pass: latents of a law, through nets one after the other, kept in a box.

    Attributes:
        latent: Law of z.
        nets: The first takes z and, where the method is conditional, classes (n,); the last gives model units.
        box: What the last one's answers are projected on; None for nothing.
    """

    latent: Latent
    nets: tuple[nn.Module, ...]
    box: Box | None = None


@runtime_checkable
class OnePass(Protocol):
    """A method whose samples are one pass of nets, so that they can be written down as one graph."""

    def one_pass(self) -> Pass: ...


@dataclass
class Spread:
    r"""Normal points with the mean and covariance of samples, put into a box: :math:`x = m + F^\top z`.

    It holds directions and no sample: the rows of F are orthogonal, and :math:`F^\top F` is the covariance.

    Attributes:
        mean: m, (d,).
        factor: F, (r, d).
        event: Shape of one point.
        box: What a point is put into.
    """

    mean: Tensor
    factor: Tensor
    event: tuple[int, ...]
    box: Box = field(default_factory=lambda: Box(-1.0, 1.0))

    @classmethod
    def of(cls, x: Samples) -> Spread:
        """The law of samples (n, *event), of the first 1,024 of them where there are more."""
        rows = x[:ROWS].flatten(1).double()
        mean = rows.mean(0)
        centred = (rows - mean) / math.sqrt(len(rows))
        turned = torch.linalg.eigh(centred @ centred.T)[1].T @ centred
        return cls(mean.to(x), turned.to(x), tuple(x.shape[1:]))

    @classmethod
    def hollow(cls, n: int, event: tuple[int, ...]) -> Spread:
        """One of the shapes that n samples give, without contents, for tensors out of a file."""
        d = math.prod(event)
        return cls(torch.zeros(d), torch.zeros(min(n, ROWS), d), event)

    def __call__(self, rng: Randomness, n: int) -> Samples:
        """Points, (n, *event)."""
        z = rng.normal(n, len(self.factor)).to(self.factor)
        return self.box((self.mean + z @ self.factor).view(n, *self.event))


@torch.no_grad()
def generate(
    generator: Learner, latent: Latent, n: int, rng: Randomness, labels: Labels | None = None, block: int = 1024
) -> Samples:
    """n samples of the generator's average, in evaluation mode, block by block.

    Args:
        generator: The trained generator.
        latent: Law of z.
        n: Number of samples.
        rng: Where z comes from.
        labels: Classes (n,), for a conditional generator.
        block: Samples in one pass.
    """
    net = generator.sampler
    training = net.training
    net.eval()
    device = generator.placement.device
    try:
        z = latent(rng, n).to(device)
        parts = []
        for k in range(0, n, block):
            with generator.autocast():
                out = (
                    net(z[k : k + block]) if labels is None else net(z[k : k + block], labels[k : k + block].to(device))
                )
            parts.append(out.to(z.dtype))
        return torch.cat(parts)
    finally:
        net.train(training)
