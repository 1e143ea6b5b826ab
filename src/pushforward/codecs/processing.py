r"""What a flow in code space proves about decoded samples: the data-processing inequality, its error set apart.

For a decoder with Lipschitz constant a_D, particles' codes q_z and data p with codes E#p,

.. math::
    D^{L}(D_\# q_z \,\|\, D_\# E_\# p) \le D^{a_D L}(q_z \,\|\, E_\# p), \qquad
    W_1(p, D_\# E_\# p) \le \mathbb{E}_p \|x - D(E(x))\|,

because every critic of slope L on decoded points is, seen from the codes, one of slope a_D L. The left target is the
reconstructed data: what reconstruction loses is not in the bound, and is a number of its own.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.codecs.autoencoder import Autoencoder
from pushforward.codecs.codec import Codec, Steep
from pushforward.divergences import KL_LIP, Divergence
from pushforward.dynamics.mobility import lipschitz_constant
from pushforward.errors import UsageError
from pushforward.oracles import cloud
from pushforward.types import Randomness, Samples, able

__all__ = ["DataProcessing", "Regularised", "certified", "data_processing", "reconstruction", "steepness"]

Regularised: TypeAlias = Callable[[Samples, Samples, float], float]
"""(q, p, L) -> D^L(q‖p), a Lipschitz-regularised divergence of two samples (or W1 times L)."""


def certified(divergence: Divergence) -> Regularised:
    """The Lipschitz-regularised value of a divergence by convex optimisation, in the middle of its two bounds.

    Its memory is O(nm), and its time seconds for a few hundred samples.
    """

    def value(q: Samples, p: Samples, slope: float) -> float:
        bracket = cloud(divergence, q, p, slope)
        return (bracket.lower + bracket.upper) / 2

    return value


@torch.no_grad()
def reconstruction(codec: Codec, x: Samples, block: int = 1000) -> float:
    r"""Mean distance :math:`\mathbb{E}\|x - D(E(x))\|`, in data units: a bound of :math:`W_1(p, D_\# E_\# p)`.

    Args:
        codec: The codec.
        x: Samples, (n, *event).
        block: Samples in one pass.
    """
    errors = [(part - codec.decode(codec.encode(part))).flatten(1).norm(dim=1) for part in x.split(block)]
    return float(torch.cat(errors).mean())


def steepness(
    codec: Codec, codes: Tensor, rng: Randomness | None = None, *, iterations: int = 50
) -> tuple[float, bool]:
    r"""Lipschitz constant :math:`a_D` of a codec's decoder, and whether it is exact.

    Exact where the codec knows it (`codec.lipschitz`, as PCA does). Else the largest slope found at the codes and at as
    many points on segments between them, an estimate from below.

    Args:
        codec: The codec.
        codes: Where to look, (n, *code).
        rng: Where segments and first directions come from; without one, the middles between neighbouring rows.
        iterations: Steps of the power iteration.
    """
    if able(codec, Steep):
        return float(codec.lipschitz), True
    if rng is None:
        between = (codes + codes.roll(1, 0)) / 2
    else:
        share = rng.uniform(len(codes)).to(codes).view(-1, *[1] * (codes.dim() - 1))
        between = torch.lerp(codes, codes[torch.argsort(rng.uniform(len(codes))).to(codes.device)], share)
    return lipschitz_constant(codec.decode, torch.cat([codes, between]), rng, iterations=iterations), False


@dataclass(frozen=True)
class DataProcessing:
    """The two sides of the inequality, and what it leaves out; `str` is a short account.

    Attributes:
        slope: L, in score units per data unit.
        steepness: a_D, in data units per code unit.
        exact: Whether a_D is exact; otherwise it was estimated from below.
        ceiling: A bound of a_D from above; infinite where none is known.
        decoded: Left side, D^L of decoded particles from reconstructed data.
        bound: Right side, D^{a_D L} of particles' codes from data's codes.
        direct: D^L of decoded particles from the data themselves; the inequality says nothing about it.
        reconstruction: Mean distance of data from their reconstructions, in data units.
        budget: Which data the codec was made from.
    """

    slope: float
    steepness: float
    exact: bool
    ceiling: float
    decoded: float
    bound: float
    direct: float
    reconstruction: float
    budget: str

    @property
    def holds(self) -> bool:
        """Whether the inequality holds, up to a thousandth; where not, a_D or a divergence was underestimated."""
        return self.decoded <= self.bound + 1e-3 * max(1.0, abs(self.bound))

    def __str__(self) -> str:
        """The numbers, a line each, with what they mean."""
        return "\n".join(
            (
                f"codec           {self.budget}",
                f"decoder         a_D {'=' if self.exact else '>='} {self.steepness:.4g}"
                + ("" if self.exact else f", at most {self.ceiling:.4g}"),
                f"in code space   D at slope a_D L = {self.steepness * self.slope:.4g}:  {self.bound:.4g}",
                f"decoded         D at slope L = {self.slope:.4g} from D(E(data)):  {self.decoded:.4g}"
                f"  {'<=' if self.holds else '> !'} {self.bound:.4g}",
                f"reconstruction  E|x - D(E(x))| = {self.reconstruction:.4g} >= W1, not in the bound",
                f"against data    D at slope L:  {self.direct:.4g}",
            )
        )


@torch.no_grad()
def data_processing(
    codec: Codec,
    codes: Tensor,
    p: Samples,
    rng: Randomness,
    *,
    slope: float = 1.0,
    divergence: Regularised = certified(KL_LIP),  # noqa: B008
) -> DataProcessing:
    """Both sides of the data-processing inequality for particles in code space, and the reconstruction term.

    Args:
        codec: The codec.
        codes: Particles' codes, (n, *code).
        p: Data, (m, *event).
        rng: Where the search for the steepest slope starts.
        slope: L, in score units per data unit.
        divergence: (q, p, L) -> D^L(q‖p), exact or nearly: a critic's estimate from below may break the inequality.
            By default that of KL, for which a few hundred samples are enough work.
    """
    targets = codec.encode(p)
    steep, exact = steepness(codec, torch.cat([codes, targets]), rng)
    moved = codec.decode(codes)
    return DataProcessing(
        slope=slope,
        steepness=steep,
        exact=exact,
        ceiling=steep if exact else _ceiling(codec),
        decoded=float(divergence(moved, codec.decode(targets), slope)),
        bound=float(divergence(codes, targets, steep * slope)),
        direct=float(divergence(moved, p, slope)),
        reconstruction=reconstruction(codec, p),
        budget=codec.budget,
    )


def _ceiling(codec: Codec) -> float:
    if not isinstance(codec, Autoencoder):
        return math.inf
    try:
        return codec.certificate()
    except UsageError:
        return math.inf
