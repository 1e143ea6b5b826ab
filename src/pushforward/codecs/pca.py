r"""Principal components as a codec: :math:`z = C\,((x - m)/s)/u`, :math:`D(z) = m + s\,C^\top u z`, C with k rows.

Codes are not whitened: distances between them are those of the projected data, divided by the one number u. With s = 1
and u = 1 the decoder is an isometry; in general :math:`a_D = u\,\|\mathrm{diag}(s)\,C^\top\|_2 \le u \max_g s_g`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Samples

__all__ = ["PCA"]


@dataclass
class PCA:
    """The linear codec of least squared error; `PCA.fit` makes one from data.

    Attributes:
        mean: m, (d,).
        components: C, (k, d), orthonormal rows, by falling variance; the largest entry of each is positive.
        scale: s, (d,): standard deviations of the columns where they were standardised, else ones.
        unit: u, (): the root mean variance of the codes where they were given unit size, else 1.
        variances: Variance of each code before the division by u, (k,).
        explained: Share of the (standardised) data's variance that the codes keep, ().
        event: Shape of one sample.
        rows: Number of rows it was made from.
    """

    mean: Tensor
    components: Tensor
    scale: Tensor
    unit: Tensor
    variances: Tensor
    explained: Tensor
    event: tuple[int, ...]
    rows: int

    @classmethod
    def fit(cls, x: Samples, size: int, *, standardise: bool = False, unit: bool = False, block: int = 4096) -> PCA:
        """The first `size` principal components of x, exactly, in float64.

        Moments are summed in blocks of rows; where a row has more numbers than there are rows, inner products of rows
        are, in blocks of columns. Memory beside x is O(min(n, d)² + block max(n, d)).

        Args:
            x: Samples, (n, *event), at least two different ones.
            size: Numbers in a code, at most min(n - 1, d).
            standardise: Divide each column by its standard deviation first; columns that do not vary are left.
            unit: Divide codes by their root mean variance, so that a step and a slope mean the same in every code.
            block: Rows, or columns, in one pass.

        Raises:
            UsageError: If there are fewer directions in which x varies than the code has numbers.
        """
        flat = x.flatten(1)
        n, d = flat.shape
        if not 1 <= size <= min(n - 1, d):
            raise UsageError(f"a code of {size} numbers: {n} rows of {d} numbers allow 1 to {min(n - 1, d)}")
        none = flat.new_zeros(d, dtype=torch.float64)
        mean = sum((rows.double().sum(0) for rows in flat.split(block)), none) / n
        variance = sum(((rows.double() - mean).square().sum(0) for rows in flat.split(block)), none) / n
        scale = variance.sqrt().where(variance > 0, 1.0) if standardise else torch.ones_like(mean)
        total = (variance / scale.square()).sum()
        values, components = _components(flat, mean, scale, size, block)
        if not values[-1] > 1e-14 * total:
            raise UsageError(
                f"a code of {size} numbers: the data vary in {int((values > 1e-14 * total).sum())} directions"
            )
        length = values.mean().sqrt() if unit else values.new_ones(())
        explained = values.sum() / total
        return cls(
            mean.to(x),
            components.to(x),
            scale.to(x),
            length.to(x),
            values.to(x),
            explained.to(x),
            event=tuple(x.shape[1:]),
            rows=n,
        )

    @classmethod
    def hollow(cls, numbers: int, size: int, rows: int) -> PCA:
        """A codec of vectors, of the right shapes and without contents, for tensors out of a file.

        Args:
            numbers: Numbers of a sample, d.
            size: Numbers of a code, k.
            rows: Rows that the contents were made from.
        """
        return cls(
            torch.zeros(numbers),
            torch.zeros(size, numbers),
            torch.ones(numbers),
            torch.ones(()),
            torch.zeros(size),
            torch.zeros(()),
            event=(numbers,),
            rows=rows,
        )

    @property
    def budget(self) -> str:
        """The number of rows the components were computed from."""
        return f"PCA of {self.rows:,} rows, {self.explained:.1%} of their variance kept"

    @property
    def lipschitz(self) -> float:
        """Lipschitz constant of the decoder, exactly: the spectral norm of u diag(s) C^T."""
        return float(self.unit * torch.linalg.matrix_norm(fine(self.components * self.scale), 2))

    def decoder(self) -> nn.Module:
        """The same as `decode`, as one linear layer."""
        size, numbers = self.components.shape
        layer = nn.utils.skip_init(nn.Linear, size, numbers)
        layer.load_state_dict({"weight": (self.unit * self.components * self.scale).T, "bias": self.mean})
        return nn.Sequential(layer, nn.Unflatten(1, self.event))

    def encode(self, x: Samples) -> Tensor:
        """Codes (n, k) of samples (n, *event)."""
        return ((x.flatten(1) - self.mean) / self.scale) @ self.components.T / self.unit

    def decode(self, z: Tensor) -> Samples:
        """Samples (n, *event) of codes (n, k)."""
        return ((z * self.unit) @ self.components * self.scale + self.mean).unflatten(1, self.event)


def _components(flat: Tensor, mean: Tensor, scale: Tensor, size: int, block: int) -> tuple[Tensor, Tensor]:
    """Largest eigenvalues of the covariance, (size,), and their vectors as rows, (size, d)."""
    n, d = flat.shape
    if d <= n:
        blocks = ((rows.double() - mean) / scale for rows in flat.split(block))
        values, vectors = torch.linalg.eigh(sum((rows.T @ rows for rows in blocks), mean.new_zeros(d, d)) / n)
        components = vectors[:, -size:].T
    else:
        blocks = list(zip(flat.split(block, 1), mean.split(block), scale.split(block), strict=True))
        gram = mean.new_zeros(n, n)
        for columns, m, s in blocks:
            part = (columns.double() - m) / s
            gram += part @ part.T
        values, vectors = torch.linalg.eigh(gram / n)
        weights = vectors[:, -size:].T / (n * values[-size:, None].clamp_min(math.ulp(0.0))).sqrt()
        components = torch.cat([weights @ ((columns.double() - m) / s) for columns, m, s in blocks], 1)
    values, components = values[-size:].flip(0).clamp_min(0), components.flip(0)
    peak = components.gather(1, components.abs().argmax(1, keepdim=True))
    return values, components * peak.sign()
