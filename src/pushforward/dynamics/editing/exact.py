r"""The law of a sample given what is known of it, where the data are a mixture of normal laws.

.. math:: p(x \,|\, Px = Py) = \sum_j w_j'\, N\bigl(m_j + G_j(y - m_j),\; (I - G_j)S_j\bigr), \qquad
    G_j = S_j U (U^T S_j U)^{-1} U^T, \quad w_j' \propto w_j\, N(U^T y;\, U^T m_j,\, U^T S_j U)

with the columns of U a basis of what is known, so that :math:`P = U U^T`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.editing.projection import LinearProjection
from pushforward.errors import UsageError

__all__ = ["conditional_mixture"]


def conditional_mixture(mixture: Mixture, projection: LinearProjection, y: Tensor) -> Mixture:
    """The law of the data given P y, exactly: what restorations are held against.

    Its covariances are singular along what is known. `MixtureFollmer.of` makes a denoiser of it, with which every
    strategy of `restore` draws from this law, up to its steps.

    Args:
        mixture: The law of the data, in d numbers.
        projection: P, of an event of d numbers in all.
        y: A sample of which P y is known, (*event).

    Returns:
        The mixture, float64; components whose share is below the smallest number are left out.

    Raises:
        UsageError: If sizes differ, or nothing or all is known.
    """
    d = mixture.means.shape[1]
    if projection.seen.numel() != d or y.numel() != d:
        raise UsageError(
            f"a mixture of {d} numbers, known of {projection.event} and given {tuple(y.shape)}: give the same size"
        )
    eye = torch.eye(d, dtype=torch.float64)
    values, axes = torch.linalg.eigh(projection.known(eye.view(d, *projection.event)).view(d, d))
    known = axes[:, values > 0.5]  # of a projector they are 0 and 1
    if not 0 < known.shape[1] < d:
        raise UsageError(f"{known.shape[1]} of {d} numbers are known: give a projection with at least one of each kind")
    offset = y.detach().cpu().double().reshape(-1) - mixture.means
    seen = known.mT @ mixture.covariances @ known
    gain = torch.linalg.solve(seen, known.mT @ mixture.covariances).mT @ known.mT
    means = mixture.means + torch.einsum("kij,kj->ki", gain, offset)
    left = mixture.covariances - gain @ mixture.covariances
    root = torch.linalg.cholesky(seen)
    white = torch.linalg.solve_triangular(root, (offset @ known)[..., None], upper=False)[..., 0]
    said = mixture.weights.log() - 0.5 * white.square().sum(1) - root.diagonal(dim1=1, dim2=2).log().sum(1)
    shares = said.softmax(0)
    kept = shares > 0
    return Mixture(means[kept], (left + left.mT)[kept] / 2, shares[kept] / shares[kept].sum())
