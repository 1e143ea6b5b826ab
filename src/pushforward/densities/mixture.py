r"""Gaussian mixtures with a known density, :math:`p(x) = \sum_k \pi_k\, N(x; m_k, C_k)`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.parallel.doubles import fine, moved

__all__ = ["Mixture", "Rng", "numpy_rng"]

Rng = np.random.Generator | torch.Generator


def numpy_rng(rng: Rng) -> np.random.Generator:
    """The generator itself, or a numpy generator seeded by one draw from a torch generator."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(int(torch.randint(2**63 - 1, (), generator=rng, device=rng.device)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Weights, means and covariances of k Gaussians in d dimensions; calling it draws samples.

    Attributes:
        means: (k, d) float64.
        covariances: (k, d, d) float64, symmetric and positive definite.
        weights: (k,) float64, positive, summing to 1.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        k, d = self.means.shape
        if self.covariances.shape != (k, d, d) or self.weights.shape != (k,):
            raise ValueError(
                f"means {tuple(self.means.shape)}, covariances {tuple(self.covariances.shape)} and weights "
                f"{tuple(self.weights.shape)} do not match: give (k, d), (k, d, d) and (k,)"
            )
        if not (self.weights > 0).all() or abs(float(self.weights.sum()) - 1) > 1e-9:
            raise ValueError(f"weights {self.weights.tolist()}: they must be positive and sum to 1")

    @classmethod
    def of(
        cls,
        means: Sequence[Sequence[float]],
        *,
        sigma: float | None = None,
        covariances: Sequence[Sequence[Sequence[float]]] | None = None,
        weights: Sequence[float] | None = None,
    ) -> "Mixture":
        """A mixture from plain numbers.

        Args:
            means: k rows of d numbers.
            sigma: Standard deviation shared by all components and directions.
            covariances: k matrices (d, d); give these or `sigma`.
            weights: k positive numbers, divided by their sum; equal when left out.

        Raises:
            ValueError: If both or none of `sigma` and `covariances` are given, or the shapes do not match.
        """
        m = torch.tensor(means, dtype=torch.float64)
        if (sigma is None) == (covariances is None):
            raise ValueError("give sigma or covariances, one of the two")
        if sigma is not None:
            c = sigma**2 * torch.eye(m.shape[1], dtype=torch.float64).expand(len(m), -1, -1)
        else:
            c = torch.tensor(covariances, dtype=torch.float64)
        w = torch.ones(len(m), dtype=torch.float64) if weights is None else torch.tensor(weights, dtype=torch.float64)
        return cls(m, c, w / w.sum())

    @property
    def sigma(self) -> float:
        """Root of the components' mean variance; the standard deviation when they are alike and round."""
        return math.sqrt(float(self.covariances.diagonal(dim1=1, dim2=2).mean()))

    def __call__(self, n: int, rng: Rng) -> Tensor:
        """The same as `sample`."""
        return self.sample(n, rng)

    def sample(self, n: int, rng: Rng) -> Tensor:
        """Draw n points, (n, d) float32."""
        return self.draw(n, rng)[0]

    def draw(self, n: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Draw n points, (n, d) float32, with the component each came from, (n,) int64."""
        rng = numpy_rng(rng)
        component = torch.from_numpy(rng.choice(len(self.weights), n, p=self.weights.numpy()).astype(np.int64))
        z = torch.from_numpy(rng.standard_normal((n, self.means.shape[1])))
        root = torch.linalg.cholesky(self.covariances)
        x = self.means[component] + torch.einsum("nij,nj->ni", root[component], z)
        return x.float(), component

    def log_prob(self, x: Tensor | np.ndarray) -> Tensor:
        """Exact log density at x, (n, d) -> (n,), on x's device in float64, where it has that; differentiable in x."""
        x = fine(torch.as_tensor(x))
        means, covariances, weights = (moved(t, x.device) for t in (self.means, self.covariances, self.weights))
        root = torch.linalg.cholesky(covariances)
        offset = (x[None] - means[:, None]).mT  # (k, d, n)
        white = torch.linalg.solve_triangular(root, offset, upper=False)
        log_det = root.diagonal(dim1=1, dim2=2).log().sum(1)
        d = means.shape[1]
        log_gauss = -0.5 * white.square().sum(1) - log_det[:, None] - 0.5 * d * math.log(2 * math.pi)
        return torch.logsumexp(weights.log()[:, None] + log_gauss, dim=0)
