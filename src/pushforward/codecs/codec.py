"""What a codec is: z = E(x), x ~ D(z)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.types import Batch, Logs, Samples

__all__ = ["Codec", "Decodes", "Kind", "Learns", "Steep", "parse"]

Kind = Literal["pca", "autoencoder"]


@runtime_checkable
class Codec(Protocol):
    """Samples to codes and back, both differentiable and row by row."""

    @property
    def budget(self) -> str:
        """Which data it was made from, in words: a flow of few samples may stand on a codec of many."""
        ...

    def encode(self, x: Samples) -> Tensor:
        """Codes (n, *code) of samples (n, *event)."""
        ...

    def decode(self, z: Tensor) -> Samples:
        """Samples (n, *event) of codes (n, *code)."""
        ...


@runtime_checkable
class Learns(Codec, Protocol):
    """A codec that learns from batches, one yield a step."""

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]: ...


@runtime_checkable
class Decodes(Codec, Protocol):
    """A codec whose way back is a net: `decoder()` gives a module, codes (n, *code) -> samples (n, *event)."""

    def decoder(self) -> nn.Module: ...


@runtime_checkable
class Steep(Codec, Protocol):
    """A codec that knows the Lipschitz constant of its decoder, in data units per code unit."""

    @property
    def lipschitz(self) -> float: ...


def parse(spec: str) -> tuple[Kind, int]:
    """The kind and the code's size out of 'pca:20' or 'autoencoder:16'.

    Raises:
        UsageError: If it is neither.
    """
    kind, _, size = spec.strip().partition(":")
    if kind in ("pca", "autoencoder") and size.isdecimal() and int(size):
        return kind, int(size)
    raise UsageError(f"codec {spec!r}: use pca:K or autoencoder:K with K numbers in a code, for example pca:20")
