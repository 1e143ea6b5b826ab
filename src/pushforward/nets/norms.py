r"""Operator norms of layers, bounded from above by smooth functions of their weights, and orthonormal weights.

A matrix W has :math:`\sigma_1(W) \le (\operatorname{tr} (W^\top W)^p)^{1/2p} \le r^{1/2p}\,\sigma_1(W)` with r the
smaller side; the power is reached by repeated squaring of the Gram matrix, so the bound is as tight as wanted, needs no
state, and is differentiable even where singular values coincide, as they do in a trained critic.

References:
    Efficient bound of Lipschitz constant for convolutional layers by Gram iteration (Delattre et al., 2023),
    arXiv:2305.16173.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

__all__ = ["convolution_bound", "frequencies", "matrix_bound", "orthonormal", "spectrum", "together"]

TIGHT = 1e-3
"""How far, relatively, a bound may lie above the norm."""


def together(act: Callable[[Tensor], Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
    """Apply a function of stacked tall matrices (k, m, r) to matrices, few calls for many of them.

    The function must commute with transposition and ignore rows and columns of zeros. Matrices that fit into the last
    one share its stack, filled up with zeros: for small layers calls cost more than zeros.
    """
    tall = [weight if weight.shape[0] >= weight.shape[1] else weight.mT for weight in weights]
    rows, columns = tall[-1].shape if tall else (0, 0)
    inside = [m.shape[0] <= rows and m.shape[1] <= columns for m in tall]
    filled = [_filled(m, rows, columns) for m, fits in zip(tall, inside) if fits]
    shared = iter(act(torch.stack(filled)).unbind() if filled else ())
    out = []
    for weight, m, fits in zip(weights, tall, inside):
        result = next(shared)[: m.shape[0], : m.shape[1]] if fits else act(m[None])[0]
        out.append(result if weight.shape[0] >= weight.shape[1] else result.mT)
    return out


def _filled(matrix: Tensor, rows: int, columns: int) -> Tensor:
    if matrix.shape == (rows, columns):
        return matrix
    return pad(matrix, (0, columns - matrix.shape[1], 0, rows - matrix.shape[0]))


def orthonormal(stack: Tensor, *, iterations: int = 12) -> Tensor:
    r"""Matrices with nearly orthonormal columns, close to the given ones, by :math:`W \leftarrow W(3I - W^\top W)/2`.

    Columns are orthonormal once the iteration has converged, and shorter where a singular value began near 0. Each
    singular value s moves to (3s - s^3) / 2, which lies in [0, 1] for s in [0, 1] and goes to 1. They start there,
    because the stack is first divided by an upper bound of its norms, and so none ever passes 1, converged or not.

    Args:
        stack: Tall matrices, (k, m, r) with m >= r. The answer can be differentiated once.
        iterations: Number of steps; a singular value grows by 1.5 in each while it is small.

    References:
        Sorting out Lipschitz function approximation (Anil et al., 2019), arXiv:1811.05381.
    """
    return _Iterated.apply(stack / matrix_bound(stack, squarings=2), iterations)[0]


class _Iterated(torch.autograd.Function):
    """The iteration with its derivative by hand: a third of the calls that autograd makes of it."""

    @staticmethod
    def forward(w: Tensor, iterations: int) -> tuple[Tensor, ...]:
        """The last iterate, then all Gram matrices and earlier iterates in turn, without the first."""
        seen = []
        for _ in range(iterations):
            gram = w.mT @ w
            seen += [w, gram]
            w = torch.baddbmm(w, w, gram, beta=1.5, alpha=-0.5)
        return w, *seen[1:]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(inputs[0], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, None], *args: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Stacks of stacks are one long stack."""
        w, iterations = args
        stacks = w.movedim(in_dims[0] or 0, 0)
        out = _Iterated.apply(stacks.flatten(0, 1), iterations)
        return tuple(part.unflatten(0, stacks.shape[:2]) for part in out), (0,) * len(out)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *slopes: Tensor
    ) -> tuple[Tensor, None]:
        """With S = W^T G: G <- G (3I - W^T W) / 2 - W (S + S^T) / 2."""
        slope, seen = slopes[0], ctx.saved_tensors
        for w, gram in zip(seen[-2::-2], seen[-1::-2]):
            turn = w.mT @ slope
            slope = torch.baddbmm(slope, slope, gram, beta=1.5, alpha=-0.5)
            slope = torch.baddbmm(slope, w, turn + turn.mT, alpha=-0.5)
        return slope, None


def matrix_bound(stack: Tensor, *, squarings: int | None = None) -> Tensor:
    """Upper bounds (k, 1, 1) of the norms of matrices (k, m, r), at most 0.1 % too large unless told otherwise.

    Args:
        stack: Matrices; r should be the smaller side.
        squarings: Squarings of the Gram matrix; None for as many as the tolerance needs.
    """
    squarings = _squarings(stack.shape[2]) if squarings is None else squarings
    size = _peak(stack)
    stack = stack / size
    return _root(stack.mT @ stack, squarings, torch.matmul).view(-1, 1, 1) * size


def _peak(stack: Tensor) -> Tensor:
    """Largest entries (k, 1, 1), 1 where all are zero: what is divided by them has squares and products in range."""
    size = stack.detach().abs().amax((1, 2), keepdim=True)
    return torch.where(size > 0, size, 1.0)


def _squarings(rank: int) -> int:
    """Squarings after which rank^(1 / 4p) <= 1 + TIGHT, with p = 2^squarings."""
    return max(0, math.ceil(math.log2(math.log(max(rank, 2)) / TIGHT)) - 2)


def _root(
    gram: Tensor, squarings: int, product: Callable[[Tensor, Tensor], Tensor], *, block: int = 3, sloped: bool = True
) -> Tensor:
    r"""Bounds :math:`s = (\operatorname{tr} A^{2p})^{1/4p}`, p = 2^squarings, of the norms behind Gram matrices, (k,).

    Its square has the derivative :math:`N = s^2 A^{2p-1} / \operatorname{tr} A^{2p}` in A, and is <N, A>: so N is found
    without a graph, and the answer can be differentiated once. Powers are brought to size one before each block of
    squarings, so that the largest eigenvalue never underflows; the last factor covers the rounding of sums of r terms.
    """
    tiny = torch.finfo(gram.dtype).tiny
    with torch.no_grad():
        peak = gram.abs().amax((1, 2), keepdim=True).clamp(min=tiny)  # squares of what is left are numbers
        even = odd = gram / peak
        log_size, power = 0.0, 1  # even is A^power and odd A^(power - 1), each up to a factor
        for k in range(squarings):
            if k % block == 0:
                size = _size(even)
                even, odd = even / size, odd / _size(odd)
                log_size = log_size + size.log() / power
            if sloped:
                odd = product(odd, even) if k else even
            even, power = product(even, even), 2 * power
        square = peak * (log_size + _size(even).log() / power).exp()
        square = square * (1 + 2 * (5 + gram.shape[2]) * torch.finfo(gram.dtype).eps)
        if not sloped:
            return square.sqrt().flatten()
        odd = product(odd, even) if squarings else even
        slope = odd * (square / (odd * gram).sum((1, 2), keepdim=True).clamp(min=tiny))
    return (slope * gram).sum((1, 2)).clamp(min=tiny).sqrt()


def _size(gram: Tensor) -> Tensor:
    """Frobenius norms (k, 1, 1), never zero."""
    return gram.norm(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(gram.dtype).tiny)


def frequencies(side: int, kernel: int, stride: int, padding: int) -> Tensor:
    r"""Waves (q * q, 2f) in which a zero-padded convolution on a square map is bounded: cosines, then sines.

    The map lies inside a torus of side N >= side + padding, a multiple of the stride, on which no window that reaches
    the map from one edge reaches it from the other; so the convolution is a part of the one on the torus, and its norm
    is at most the torus' norm; what the zeros at the edges take away from it falls with the side squared. The stride
    splits torus and kernel into stride^2 interleaved channels of M = N / stride and q = ceil(kernel / stride) points a
    side, on which it is an ordinary circular convolution.

    Args:
        side: Height and width of the map.
        kernel: Side of the kernel.
        stride: Step between windows.
        padding: Zeros at each edge.
    """
    out = (side + 2 * padding - kernel) // stride + 1
    points = max(-(-(side + padding) // stride), out)
    taps = torch.arange(-(-kernel // stride), dtype=torch.float64)
    turns = torch.arange(points, dtype=torch.float64) / points
    half = turns[: points // 2 + 1]  # the others are conjugate
    angle = 2 * math.pi * (half.view(-1, 1, 1, 1) * taps.view(-1, 1) + turns.view(-1, 1, 1) * taps)
    waves = angle.flatten(0, 1).flatten(1).T
    return torch.cat([waves.cos(), waves.sin()], 1)


def spectrum(kernel: Tensor, waves: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    r"""Real and imaginary part (f, r, m), r <= m, of the kernel's transfer matrices at the `frequencies`.

    Args:
        kernel: (out, in, k, k).
        waves: Of `frequencies`.
        stride: Step between windows.
    """
    out, inputs, side, _ = kernel.shape
    q = -(-side // stride)
    whole = pad(kernel, (0, q * stride - side, 0, q * stride - side))
    taps = whole.view(out, inputs, q, stride, q, stride).permute(0, 1, 3, 5, 2, 4).reshape(-1, q * q)
    parts = (taps @ waves).T.reshape(2, waves.shape[1] // 2, out, -1)
    real, imaginary = parts if out <= parts.shape[3] else parts.mT
    return real, imaginary


def convolution_bound(kernel: Tensor, waves: Tensor, stride: int, *, candidates: int = 8) -> Tensor:
    """Upper bound () of the norm of a zero-padded, strided convolution, mostly within 0.1 % of that on its torus.

    All frequencies are bounded coarsely, the highest of them finely; where one of the rest might still be higher, its
    coarse bound counts, which is at most 4 % too large.

    Args:
        kernel: (out, in, k, k).
        waves: `frequencies` of the map it acts on.
        stride: Step between windows.
        candidates: How many frequencies are bounded finely.
    """
    f, size = waves.shape[1] // 2, _peak(kernel.flatten(1)[None]).flatten()[0]
    kernel = kernel / size
    with torch.no_grad():
        grams = _grams(kernel, waves, stride)
        coarse, which = _root(grams, 5, _hermitian, sloped=False).topk(min(candidates + 1, f))
    chosen = which[:candidates]
    fine = _root(
        _grams(kernel, waves[:, torch.cat([chosen, chosen + f])], stride), _squarings(grams.shape[2]), _hermitian
    )
    bound = fine.max()
    return size * (bound if f <= candidates else bound * (coarse[-1] / bound.detach()).clamp(min=1.0))


def _grams(kernel: Tensor, waves: Tensor, stride: int) -> Tensor:
    """Gram matrices K K^* (f, 2r, r) of the `spectrum`, their real parts above their imaginary ones."""
    real, imaginary = spectrum(kernel, waves, stride)
    both, turned = torch.cat([real, imaginary], 2), torch.cat([-imaginary, real], 2)
    return torch.cat([both @ both.mT, both @ turned.mT], 1)


def _hermitian(a: Tensor, b: Tensor) -> Tensor:
    """The product of commuting Hermitian matrices (f, 2r, r), real parts above imaginary ones."""
    real, imaginary = a.chunk(2, 1)
    return torch.cat([a, torch.cat([-imaginary, real], 1)], 2) @ b
