r"""From a point to data in two stages, exactly, where the data are a mixture of normal laws or a set of points.

Stage 1 is the Föllmer process :math:`dX = b\,dt + \sqrt\tau\,dW` from 0 to the smoothed data
:math:`q_\sigma = p * N(0, \sigma^2 I)`, with :math:`b = \tau\nabla\log h` and
:math:`h(t, x) = E\,(q_\sigma/\varphi_\tau)(x + \sqrt{\tau(1-t)}\,Z)`. Stage 2 is
:math:`dX = \sigma^2\nabla\log q_s\,dt + \sigma\,dW` with :math:`s = \sigma\sqrt{1-t}`, from there to the data. One
function drives both, the denoiser :math:`D(y; s) = E[Y\,|\,Y + s\varepsilon = y]`.

References:
    Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges.forms import checked
from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine, moved
from pushforward.types import Samples

__all__ = ["MixtureFollmer"]

BLOCK = 2**22  # numbers of a table of points by components that are held at once


@dataclass(frozen=True, eq=False)
class MixtureFollmer:
    r"""The two-stage bridge to :math:`p = \sum_j w_j N(m_j, S_j)`: drift, score and denoiser, exact at every t and s.

    With S = 0 the data are the points m_j themselves, and the process ends at one of them.

    Attributes:
        means: m_j, (k, d) float64.
        variances: Eigenvalues of S_j, (k, d); or (k, 1) where :math:`S_j` is a number times I.
        axes: Their eigenvectors as columns, (k, d, d); None for those of the coordinates.
        weights: w_j, (k,), positive, with sum 1.
        tau: Variance of the noise of stage 1 in one unit of time.
        sigma: Width of the smoothing, sigma^2 < tau: else q_sigma / phi_tau is not bounded.

    Raises:
        UsageError: If sigma^2 >= tau, or a number is none that may be.
    """

    means: Tensor
    variances: Tensor
    axes: Tensor | None
    weights: Tensor
    tau: float
    sigma: float

    def __post_init__(self) -> None:
        checked(self.tau, self.sigma)
        if not bool((self.variances >= 0).all()):
            raise UsageError(f"variances down to {float(self.variances.min()):g}: give none below 0")

    @classmethod
    def of(cls, mixture: Mixture, *, tau: float, sigma: float) -> MixtureFollmer:
        """The bridge to a mixture."""
        values, axes = torch.linalg.eigh(mixture.covariances)
        if torch.equal(mixture.covariances, values[:, :1, None] * torch.eye(values.shape[1]).to(values)):
            return cls(mixture.means, values[:, :1], None, mixture.weights, tau, sigma)
        return cls(mixture.means, values.clamp(min=0), axes, mixture.weights, tau, sigma)

    @classmethod
    def of_points(cls, points: Samples, *, tau: float, sigma: float) -> MixtureFollmer:
        """The bridge to the points (n, *event) themselves, all as likely.

        Raises:
            UsageError: If there is none, or they have no axis of numbers.
        """
        if points.dim() < 2 or not len(points):
            raise UsageError(f"points of shape {tuple(points.shape)}: give (n, *event), one row or more")
        rows = fine(points.flatten(1))
        weights = rows.new_full((len(rows),), 1 / len(rows))
        return cls(rows, rows.new_zeros(len(rows), 1), None, weights, tau, sigma)

    @property
    def mean(self) -> Tensor:
        """Mean of the data, (d,)."""
        return self.weights @ self.means

    def denoised(self, y: Samples, s: float | Tensor) -> Samples:
        r"""D(y; s), (n, *event): :math:`\sum_j\pi_j\,(m_j + S_j(S_j + s^2 I)^{-1}(y - m_j))`.

        :math:`\pi_j` is the chance of component j given y, in proportion to :math:`w_j N(y; m_j, S_j + s^2 I)`.

        Args:
            y: Points (n, *event).
            s: Width of the noise, above 0; or one for each point, (n,).

        Raises:
            UsageError: If a width is not positive, or points are of another size.
        """
        self._checked(y, s, "noise", bool((torch.as_tensor(s) > 0).all()), "above 0")
        return self._by_blocks(y, s, self._denoised)

    def score(self, y: Samples, s: float | Tensor) -> Samples:
        r""":math:`\nabla\log q_s(y) = (D(y; s) - y)/s^2`, (n, *event)."""
        width = torch.as_tensor(s, dtype=y.dtype, device=y.device)
        return (self.denoised(y, s) - y) / width.square().view(-1, *[1] * (y.dim() - 1))

    def drift(self, x: Samples, t: float | Tensor = 0.0) -> Samples:
        r"""b(t, x) of stage 1, (n, *event), for 0 <= t <= 1, also at both ends.

        .. math:: b = \sum_j\pi_j D_j^{-1}\big(\tau m_j + (C_j - \tau I)x\big), \quad D_j = tC_j + \tau(1-t)I

        with :math:`C_j = S_j + \sigma^2 I`, and :math:`\pi_j` the share of component j in h.

        Args:
            x: Points (n, *event).
            t: Time, or one for each point, (n,).

        Raises:
            UsageError: If a time is not one from 0 to 1, or points are of another size.
        """
        at = torch.as_tensor(t)
        self._checked(x, t, "time", bool(((at >= 0) & (at <= 1)).all()), "from 0 to 1")
        return self._by_blocks(x, t, self._drift)

    __call__ = drift

    def log_h(self, x: Samples, t: float | Tensor) -> Tensor:
        r"""log h(t, x), (n,), float64, differentiable in x; at t = 1 it is :math:`\log q_\sigma/\varphi_\tau`."""
        rows = fine(x.flatten(1))
        return torch.logsumexp(self._h_terms(rows, self._numbers(rows, t))[0], 1)

    def _checked(self, x: Samples, at: float | Tensor, what: str, within: bool, wanted: str) -> None:
        """Refuse points that are none of the data's space, and what is out of range."""
        if not within:
            raise UsageError(f"{what} {at}: give one {wanted}")
        if not x.is_floating_point() or x.shape[1:].numel() != self.means.shape[1]:
            raise UsageError(
                f"points {tuple(x.shape)} of {x.dtype}: give floating-point numbers, {self.means.shape[1]} in a row"
            )

    def _by_blocks(self, x: Samples, at: float | Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> Samples:
        """A function of rows (n, d) and their numbers (n,), block after block, in the type and shape of x."""
        rows = fine(x.flatten(1))
        numbers = self._numbers(rows, at)
        width = 1 if self.variances.shape[1] == 1 else rows.shape[1]
        size = max(1, BLOCK // (len(self.means) * width))
        done = [function(part, each) for part, each in zip(rows.split(size), numbers.split(size), strict=True)]
        return torch.cat(done).to(x).view_as(x)

    def _numbers(self, rows: Tensor, at: float | Tensor) -> Tensor:
        return torch.as_tensor(at, dtype=rows.dtype, device=rows.device).expand(len(rows))

    def _denoised(self, y: Tensor, s: Tensor) -> Tensor:
        spread = self._spread(y)
        total = spread + s.square()[:, None, None]  # (n, k, 1 or d)
        if self.variances.shape[1] == 1:  # round components: distances by products, never a table (n, k, d)
            total, means, size = total[..., 0], moved(self.means, y.device), y.shape[1]
            far = (y.square().sum(1)[:, None] - 2 * y @ means.mT + means.square().sum(1)).clamp(min=0)
            shares = self._shares(y, -0.5 * (size * total.log() + far / total))
            kept = shares * (spread[..., 0] / total)
            return (shares - kept) @ means + kept.sum(1, keepdim=True) * y
        turned, means = self._turned(y)
        offset = turned - means
        shares = self._shares(y, -0.5 * (total.log() + offset.square() / total).sum(2))
        return self._back(means + spread / total * offset, shares)

    def _drift(self, x: Tensor, t: Tensor) -> Tensor:
        terms, wide = self._h_terms(x, t)
        shares, spread = terms.softmax(1), self._spread(x)
        rise = spread + self.sigma**2 - self.tau  # C - tau I
        if self.variances.shape[1] == 1:
            pull = shares / wide[..., 0]
            return self.tau * pull @ moved(self.means, x.device) + (pull * rise[..., 0]).sum(1, keepdim=True) * x
        turned, means = self._turned(x)
        return self._back((self.tau * means + rise * turned) / wide, shares)

    def _h_terms(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms (n, k) whose sum of exponentials is h, and the eigenvalues of D_j, (n, k, 1 or d)."""
        c = self._spread(x) + self.sigma**2
        wide = t[:, None, None] * c + self.tau * (1 - t)[:, None, None]
        size, means = x.shape[1], moved(self.means, x.device)
        if self.variances.shape[1] == 1:
            narrow, flat = c[..., 0], wide[..., 0]
            across, own = x @ means.mT, means.square().sum(1)
            square = x.square().sum(1)[:, None] * (1 - narrow / self.tau)
            said = (across - t[:, None] / 2 * own - square / 2) / flat - 0.5 * size * (flat / self.tau).log()
        else:
            turned, means = self._turned(x)
            said = turned * means - t[:, None, None] / 2 * means.square() - turned.square() * (1 - c / self.tau) / 2
            said = (said / wide - 0.5 * (wide / self.tau).log()).sum(2)
        return said + moved(self.weights, x.device).log(), wide

    def _spread(self, rows: Tensor) -> Tensor:
        """Eigenvalues of S_j, (1, k, 1 or d)."""
        return moved(self.variances, rows.device)[None]

    def _shares(self, rows: Tensor, log_likelihood: Tensor) -> Tensor:
        """Chances of the components, (n, k)."""
        return (log_likelihood + moved(self.weights, rows.device).log()).softmax(1)

    def _turned(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (n, k, d) and means (k, d) along the axes of every component."""
        means = moved(self.means, rows.device)
        if self.axes is None:
            return rows[:, None].expand(-1, len(means), -1), means
        axes = moved(self.axes, rows.device)
        return torch.einsum("nd,kde->nke", rows, axes), torch.einsum("kd,kde->ke", means, axes)

    def _back(self, rows: Tensor, shares: Tensor) -> Tensor:
        """The mean over components, by shares (n, k), of vectors (n, k, d) along their axes; in coordinates (n, d)."""
        if self.axes is None:
            return torch.einsum("nk,nkd->nd", shares, rows)
        return torch.einsum("nk,nke,kde->nd", shares, rows, moved(self.axes, rows.device))
