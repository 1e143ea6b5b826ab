r"""The flow of KALE, a KL divergence whose critic has a cost in a kernel's space.

.. math::
    \mathrm{KALE}(q \| p) = (1 + \lambda)
    \max_h\; \mathbb{E}_q h - \mathbb{E}_p (e^h - 1) - \tfrac{\lambda}{2} \|h\|_H^2, \qquad v = -(1 + \lambda) \nabla h

From KL(q‖p) at lambda = 0 to :math:`\mathrm{MMD}^2 / 2` as lambda grows; finite wherever the supports lie.
"""

from __future__ import annotations

from pushforward.divergences import KL
from pushforward.dynamics.witness import Family
from pushforward.flows.kernel_gpa import KernelGPA
from pushforward.geometry.kernels import KernelSums, rbf

__all__ = ["kale"]


def kale(kernel: KernelSums | Family = rbf, penalty: float = 0.1, *, tolerance: float = 1e-6) -> KernelGPA:
    """KALE's flow: a `KernelGPA` of KL whose critic has no free constant, in KALE's unit.

    Args:
        kernel: A positive kernel, or a family, whose length is then the median distance of the first pooled sample.
        penalty: Factor lambda: small is KL, and stiff; large is MMD.
        tolerance: Gap to stop at, as a share of the divergence.

    Raises:
        UsageError: If the penalty is not positive.

    References:
        KALE flow: a relaxed KL gradient flow for probabilities with disjoint support (Glaser et al., 2021),
        arXiv:2106.08929.
    """
    return KernelGPA(KL, kernel, penalty, shift=False, scale=1 + penalty, tolerance=tolerance)
