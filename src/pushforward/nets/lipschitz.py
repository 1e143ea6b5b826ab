r"""Critics with a bounded slope by construction, :math:`|\nabla d| \le L` everywhere, and certificates of it.

Each of the K layers acts with a weight of norm :math:`L^{1/K}` at most, made from the free weight in the forward pass:
nothing is stored between passes, so the nets can be traced, compiled, copied, averaged and called with other weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from pushforward.errors import UsageError
from pushforward.nets.activations import GroupSort, slope_of
from pushforward.nets.blocks import CriticNet, class_shares
from pushforward.nets.ensemble import Ensemble
from pushforward.nets.norms import convolution_bound, frequencies, matrix_bound, orthonormal, spectrum, together
from pushforward.nets.waves import Waves
from pushforward.parallel.doubles import fine
from pushforward.types import Critic, Labels, Samples, Scalar

__all__ = ["Convolution", "LipschitzNet", "Mode", "certificate", "critic", "image_critic", "observed_slope"]

Mode: TypeAlias = Literal["bjorck", "spectral", "reference", "none"]


class Convolution(nn.Conv2d):
    """A strided convolution that knows the side of its maps, and so its norm as an operator on them.

    Args:
        inputs: Channels of its maps.
        outputs: Channels of its answers.
        side: Height and width of its maps.
        kernel: Side of the kernel.
        stride: Step between windows.
        padding: Zeros at each edge.
    """

    waves: Tensor

    def __init__(
        self, inputs: int, outputs: int, side: int, *, kernel: int = 4, stride: int = 2, padding: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding)
        self.geometry = side, kernel, stride, padding
        self.register_buffer("waves", frequencies(*self.geometry).to(self.weight.dtype), persistent=False)
        self.step, self.edge = stride, padding
        self.out = (side + 2 * padding - kernel) // stride + 1

    def bound(self, weight: Tensor) -> Tensor:
        """An upper bound () of the norm with this weight, differentiable and at most 0.1 % above the torus' norm."""
        return convolution_bound(weight, self.waves, self.step)


class LipschitzNet(nn.Module):
    """Layers that act with constrained weights, then a head with a score, or one for each class.

    A class' score has the slope by itself: its row of the head is normalised alone.

    Args:
        body: Linear layers, activations, `Convolution` layers and modules that reshape.
        features: Number of features that the body answers with.
        slope: L, in score units per data unit; the body's activations may take away from it.
        mode: How the weights are constrained; see `critic`.
        classes: Number of classes; 0 for none.
    """

    def __init__(self, body: nn.Sequential, features: int, slope: float, mode: Mode, classes: int = 0) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(features, max(classes, 1))
        self.slope, self.mode, self.classes = slope, mode, classes
        for layer in self.layers():
            if mode in ("bjorck", "spectral"):
                nn.init.orthogonal_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight)

    @property
    def steepest(self) -> float | None:
        """The slope L that no weights exceed; None where they are not constrained."""
        return None if self.mode == "none" else self.slope

    def layers(self) -> Iterator[nn.Linear | Convolution]:
        """The layers with weights, the head last."""
        yield from (layer for layer in self.body if isinstance(layer, nn.Linear | Convolution))
        yield self.head

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (n,) for samples (n, *event) and, if conditional, classes (n,) or class weights (n, classes)."""
        *weights, last = self.weights()
        rest = iter(weights)
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                x = linear(x, next(rest), layer.bias)
            elif isinstance(layer, Convolution):
                x = conv2d(x, next(rest), layer.bias, layer.step, layer.edge)
            else:
                x = layer(x)
        scores = linear(x, last, self.head.bias)
        if not self.classes:
            return scores.squeeze(1)
        if labels is None:
            raise ValueError("this critic is conditional: give labels (n,), or build it with classes=0")
        return (scores * class_shares(labels, self.classes).to(scores.dtype)).sum(1)

    def weights(self) -> list[Tensor]:
        """The weights as they act, one for each of the `layers`, in full precision whatever the rest runs in."""
        layers = list(self.layers())
        weights = [layer.weight for layer in layers]
        if self.mode == "none":
            return weights
        c = self.slope ** (1 / len(layers))
        with _full_precision(weights[0]):
            if self.mode == "reference":
                return [weight / (torch.linalg.vector_norm(weight) / c) for weight in weights]
            *hidden, last = weights
            flat = [weight for weight in hidden if weight.dim() == 2]
            act = orthonormal if self.mode == "bjorck" else _divided
            dense = iter(together(lambda stack: act(stack) * c, flat))
            out = [
                weight * (c / layer.bound(weight)) if isinstance(layer, Convolution) else next(dense)
                for layer, weight in zip(layers, hidden)
            ]
            return [*out, last * (c / last.norm(dim=1, keepdim=True))]


def _divided(stack: Tensor) -> Tensor:
    """Matrices (k, m, r) over upper bounds of their norms."""
    return stack / matrix_bound(stack)


def _full_precision(tensor: Tensor) -> AbstractContextManager[Any]:
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def critic(
    event: int | tuple[int, ...],
    *,
    width: int = 32,
    depth: int = 3,
    slope: float = 1.0,
    mode: Mode = "bjorck",
    activation: Callable[[], nn.Module] | None = None,
    classes: int = 0,
    waves: int = 0,
) -> LipschitzNet:
    r"""A perceptron x -> score with `depth` hidden layers and a slope of at most L, unless the mode is "none".

    Modes, with c = L^{1 / (depth + 1)}, from the tightest to the loosest:

    - "bjorck": c times the orthonormal matrix nearest to W. With `GroupSort` the bound is reached, so the critic can
      be any Lipschitz function; take it for vectors.
    - "spectral": c W / s with s an upper bound of the norm of W, tight to 0.1 %. Ask for `GroupSort`: of critics with a
      crease, such as one between two modes, ReLUs reach two thirds.
    - "reference": c W / |W|_F, which published code calls spectral normalisation. Layers of rank r and equal singular
      values have only the norm c / sqrt(r), so that much of the slope is out of reach.
    - "none": W, for use with a penalty.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        width: Units of a hidden layer.
        depth: Hidden layers.
        slope: L, in score units per data unit.
        mode: One of these.
        activation: Between layers, of slope one; None for `GroupSort` in the mode "bjorck" and a ReLU otherwise.
            `MollifiedReLU`, `ScaledSiLU` and `nn.Softplus` are smooth.
        classes: Number of classes; 0 for an unconditional net.
        waves: Octaves of sines and cosines that the first layer sees beside x (`pushforward.nets.waves`), for structure
            too fine for so few layers; the slope's bound stays, and stays within reach. 0 for none.

    Raises:
        UsageError: If the slope is not positive, the mode unknown, or GroupSort's width odd.

    References:
        Sorting out Lipschitz function approximation (Anil et al., 2019), arXiv:1811.05381.
    """
    activation = _activation(activation, mode, width, slope)
    size = event if isinstance(event, int) else math.prod(event)
    body = nn.Sequential() if isinstance(event, int) or len(event) == 1 else nn.Sequential(nn.Flatten())
    if waves:
        front = Waves(size, waves)
        body.append(front)
        size = front.out
    for k in range(depth):
        body.extend([nn.Linear(width if k else size, width), activation()])
    return LipschitzNet(body, width if depth else size, slope, mode, classes)


def image_critic(
    side: int,
    channels: int = 1,
    *,
    width: int = 32,
    slope: float = 1.0,
    mode: Mode = "spectral",
    activation: Callable[[], nn.Module] | None = None,
    classes: int = 0,
) -> LipschitzNet:
    r"""Strided convolutions x -> score for images of any side, with a slope of at most L in the mode "spectral".

    Convolutions 4 x 4 of stride 2 halve the side down to 7 or less and double the channels up to 8 times the width;
    there follows a dense layer of 4 times the width, and the scores. In the mode "spectral" a kernel is divided by the
    norm of the operator it is on maps of its side, zeros at the edges, not by that of the kernel laid out as a matrix,
    which is no bound where windows overlap. "reference" and "none" are as in `critic`;
    "reference" bounds no slope here.

    Args:
        side: Height and width of an image, 2 or more.
        channels: Of an image.
        width: Channels of the first hidden map.
        slope: L, in score units per pixel unit.
        mode: "spectral", "reference" or "none".
        activation: Between layers, of slope one; None for a ReLU.
        classes: Number of classes; 0 for an unconditional net.

    Raises:
        UsageError: If the slope, side, mode or width is none of these.
    """
    if mode == "bjorck":
        raise UsageError('mode "bjorck" is for vectors: take "spectral", or critic((channels, side, side))')
    if side < 2:
        raise UsageError(f"side {side}: images need 2 pixels a side or more; take critic for vectors")
    activation = _activation(activation, mode, width, slope)
    body, inputs, outputs = nn.Sequential(), channels, width
    while side > 7 or not body:
        layer = Convolution(inputs, outputs, side)
        body.extend([layer, activation()])
        side, inputs, outputs = layer.out, outputs, min(2 * outputs, 8 * width)
    body.extend([nn.Flatten(), nn.Linear(inputs * side * side, 4 * width), activation()])
    return LipschitzNet(body, 4 * width, slope, mode, classes)


def _activation(given: Callable[[], nn.Module] | None, mode: Mode, width: int, slope: float) -> Callable[[], nn.Module]:
    if mode not in ("bjorck", "spectral", "reference", "none"):
        raise UsageError(f'mode {mode!r}: take "bjorck", "spectral", "reference" or "none"')
    if not 0 < slope < math.inf:
        raise UsageError(f"slope {slope}: give a positive number")
    activation = given or (GroupSort if mode == "bjorck" else nn.ReLU)
    if activation is GroupSort and width % 2:
        raise UsageError(f"width {width}: GroupSort pairs features, so give an even width")
    return activation


def certificate(net: nn.Module) -> float:
    """An upper bound of a net's slope everywhere: the product of its layers' norms and its activations' slopes.

    Norms are of the weights as they act, by singular values in double precision; a convolution's is that on its torus.
    A head with several scores counts with its longest row, the slope of one score; an ensemble with the mean of its
    members, a bound of the slope of their mean score.

    Args:
        net: A `LipschitzNet`, an unconditional `CriticNet`, or an `nn.Sequential` of linear layers and activations, or
            an `Ensemble` of such.

    Raises:
        UsageError: If a part of the net is of another kind.
    """
    with torch.no_grad():
        return _certificate(net)


def _certificate(net: nn.Module) -> float:
    if isinstance(net, Ensemble):
        return sum(_certificate(member) for member in net.members()) / net.size
    if isinstance(net, LipschitzNet):
        *weights, last = (fine(weight) for weight in net.weights())
        norms = (_norm(layer, weight) for layer, weight in zip(net.layers(), weights))
        slopes = (slope_of(part) for part in net.body if not isinstance(part, nn.Linear | Convolution))
        return math.prod(norms) * math.prod(slopes) * float(last.norm(dim=1).max())
    if isinstance(net, CriticNet) and not net.classes:
        return _certificate(net.body) * _certificate(net.head)
    if isinstance(net, nn.Sequential):
        return math.prod(_certificate(part) for part in net)
    if isinstance(net, nn.Linear | Convolution):
        return _norm(net, fine(net.weight))
    return slope_of(net)


def _norm(layer: nn.Module, weight: Tensor) -> float:
    if isinstance(layer, Convolution):
        real, imaginary = spectrum(weight, frequencies(*layer.geometry).to(weight.device), layer.step)
        weight = torch.complex(real, imaginary)
    return torch.linalg.matrix_norm(weight, 2).max().item()


def observed_slope(critic: Critic, x: Samples, labels: Labels | None = None) -> Scalar:
    """The largest slope of the critic at the points x, a lower bound of what `certificate` bounds from above.

    Args:
        critic: Maps (n, *event) to scores (n,).
        x: Points, (n, *event).
        labels: Their classes (n,), for a conditional critic.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        scores = critic(x) if labels is None else critic(x, labels)
        (slope,) = torch.autograd.grad(scores.sum(), x)
    return slope.flatten(1).norm(dim=1).max()
