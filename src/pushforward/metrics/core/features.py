"""Feature spaces in which samples are compared: a function with an identity, run in blocks without gradients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pushforward.errors import DataError

__all__ = ["RAW", "Features", "blocked", "fingerprint", "of_module"]


@dataclass(frozen=True)
class Features:
    """A named map from samples to feature vectors.

    Attributes:
        name: What the extractor is called, e.g. "digits8".
        sha: SHA-256 of its weights in hexadecimal; empty for functions without weights.
        dim: Number of features; None where it is the size of a sample.
        function: (n, *event) -> (n, dim).
        classify: (n, *event) -> logits (n, K), where the extractor is also a classifier.
    """

    name: str
    sha: str
    dim: int | None
    function: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor] | None = None

    @property
    def id(self) -> str:
        """Name and first eight digits of the hash: numbers compare only between equal identities."""
        return f"{self.name}-{self.sha[:8]}" if self.sha else self.name

    def __call__(self, x: Tensor, block: int = 1024) -> Tensor:
        """Features of x.

        Args:
            x: Samples, (n, *event).
            block: Rows computed at a time.

        Returns:
            (n, dim), float64, on the CPU.

        Raises:
            DataError: If the function does not answer with `dim` finite features a row.
        """
        return self._checked(blocked(self.function, x, block), len(x))

    def stream(self, x: Tensor, block: int = 1024, rows: Tensor | None = None) -> Iterator[Tensor]:
        """Features of x, block by block, for statistics that need no more than one block at a time.

        Between two blocks nothing is held, no gradient mode is changed and no module is left in evaluation mode.

        Args:
            x: Samples, (n, *event); may be mapped from a file.
            block: Rows computed at a time.
            rows: Indices of the rows to read, in this order; all where omitted.

        Yields:
            (b, dim), float64, on the CPU.

        Raises:
            DataError: If the function does not answer with `dim` finite features a row.
        """
        for part in x.split(block) if rows is None else (x[some.to(x.device)] for some in rows.split(block)):
            yield self._checked(blocked(self.function, part, block), len(part))

    def _checked(self, values: Tensor, rows: int) -> Tensor:
        if values.ndim != 2 or len(values) != rows or (self.dim is not None and values.shape[1] != self.dim):
            wanted = (rows, self.dim or "d")
            raise DataError(f"features {self.id} gave shape {tuple(values.shape)}, wanted {wanted}: check the function")
        if values.shape[1] == 0:
            shape = f"{self.id} gave shape {tuple(values.shape)}, which has 0 columns"
            raise DataError(f"no features: {shape}; give at least one")
        if not values.isfinite().all():
            raise DataError(f"features {self.id} are not finite: check the range of the samples")
        return values

    @property
    def computed(self) -> Features:
        """The same feature space for inputs that are features already."""
        return replace(self, function=_flat, classify=None)


def blocked(function: Callable[[Tensor], Tensor], x: Tensor, block: int = 1024) -> Tensor:
    """Apply a function to x block by block, without gradients and with a module in evaluation mode.

    Args:
        function: (b, *event) -> (b, ...), row by row; a module gets rows of its own type, on its own device, and its
            training flag back afterwards.
        x: Samples, (n, *event).
        block: Rows b computed at a time.

    Returns:
        All rows together, float64, on the CPU.
    """
    training = isinstance(function, nn.Module) and function.training
    home = next(function.parameters(), None) if isinstance(function, nn.Module) else None
    if isinstance(function, nn.Module):
        function.eval()
    try:
        with torch.no_grad():
            return torch.cat([function(_at_home(part, home)).double().cpu() for part in x.split(block)])
    finally:
        if isinstance(function, nn.Module):
            function.train(training)


def _at_home(x: Tensor, home: Tensor | None) -> Tensor:
    return x if home is None or not home.is_floating_point() else x.to(home.device, home.dtype)


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def of_module(
    name: str, module: nn.Module, dim: int | None = None, classify: Callable[[Tensor], Tensor] | None = None
) -> Features:
    """A feature space from your own network, identified by its weights.

    Args:
        name: What to call it.
        module: (n, *event) -> (n, dim).
        dim: Number of features, checked where it is given.
        classify: (n, *event) -> logits (n, K), or None.
    """
    return Features(name, fingerprint(module.state_dict()), dim, module, classify)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


RAW = Features("raw", "", None, _flat)
"""Samples as they are, flattened; for images the pixels."""
