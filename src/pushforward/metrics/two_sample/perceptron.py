"""A small perceptron with explicit weights, for tests that learn: seeded apart from torch's global generator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["outputs", "weights"]


def weights(sizes: Sequence[int], rng: torch.Generator) -> list[Tensor]:
    """Matrices (in, out) and biases (out,) of each layer in turn, float32, ready to be learned.

    Args:
        sizes: Features in, those of each hidden layer, features out.
        rng: Draws them, with variance 2 / in as suits rectified units.
    """
    found = []
    for width, after in itertools.pairwise(sizes):
        found += [torch.randn(width, after, generator=rng) * (2 / width) ** 0.5, torch.zeros(after)]
    return [one.requires_grad_() for one in found]


def outputs(x: Tensor, layers: Sequence[Tensor]) -> Tensor:
    """Features out (n, k) of rows x (n, d); SiLU between the layers, nothing after the last."""
    *hidden, matrix, bias = layers
    for inner, shift in zip(hidden[::2], hidden[1::2]):
        x = functional.silu(torch.addmm(shift, x, inner))
    return torch.addmm(bias, x, matrix)
