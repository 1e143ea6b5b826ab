"""Layers in words, and back: the architecture that a card tells, of which nothing is ever executed.

    {"kind": "linear", "inputs": 2, "outputs": 128, "bias": true}

A card may come from anywhere. Every word of it is held against what this module would have written: known kinds with
exactly their fields, whole numbers within bounds. Modules are made without memory, and take that of the file's tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import DataError, UsageError
from pushforward.nets.blocks import Affine, GeneratorNet, PixelNorm
from pushforward.nets.resnet import Up

__all__ = ["Layer", "answered", "built", "described", "flag", "number", "shape_of", "whole"]

Layer = dict[str, Any]

LARGEST = 2**24  # of a size
HUGE = 1e38
KERNEL = 16  # of a convolution's window, stride and padding
PLAIN: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "gelu": nn.GELU,
    "pixel_norm": PixelNorm,
}  # fmt: skip
"""Layers without a number to tell, as they are by default."""

FIELDS = {
    "linear": ("inputs", "outputs", "bias"),
    "leaky_relu": ("slope",),
    "flatten": (),
    "unflatten": ("shape",),
    "affine": ("size",),
    "batch_norm": ("channels",),
    "conv": ("inputs", "outputs", "kernel", "stride", "padding", "bias"),
    "conv_transposed": ("inputs", "outputs", "kernel", "stride", "padding", "more", "bias"),
    "up": ("width", "norm"),
} | dict.fromkeys(PLAIN, ())


def described(net: nn.Module) -> list[tuple[Layer, nn.Module]]:
    """The layers of a net in words, each with its module, in the order in which they are passed.

    Raises:
        UsageError: If there is a layer that has no words here.
    """
    if isinstance(net, nn.Sequential):
        return [pair for child in net for pair in described(child)]
    if isinstance(net, GeneratorNet) and net.embed is None:
        return described(net.body)
    return [] if isinstance(net, nn.Identity) else [(_words(net), net)]


def _words(layer: nn.Module) -> Layer:
    found: Layer | None = None
    match layer:
        case nn.Linear():
            found = {"kind": "linear", "inputs": layer.in_features, "outputs": layer.out_features}
            found["bias"] = layer.bias is not None
        case nn.LeakyReLU():
            found = {"kind": "leaky_relu", "slope": layer.negative_slope}
        case nn.Flatten() if (layer.start_dim, layer.end_dim) == (1, -1):
            found = {"kind": "flatten"}
        case nn.Unflatten() if layer.dim == 1:
            found = {"kind": "unflatten", "shape": [int(size) for size in layer.unflattened_size]}
        case Affine():
            found = {"kind": "affine", "size": layer.shift.numel()}
        case nn.BatchNorm2d() if layer.affine and layer.track_running_stats and layer.eps == nn.BatchNorm2d(1).eps:
            found = {"kind": "batch_norm", "channels": layer.num_features}
        case nn.ConvTranspose2d() | nn.Conv2d() if _square(layer):
            found = _convolution(layer)
        case Up():
            found = {"kind": "up", "width": layer.width, "norm": layer.norm}
        case _:
            plain = [name for name, kind in PLAIN.items() if type(layer) is kind and repr(layer) == repr(kind())]
            found = {"kind": plain[0]} if plain else None
    if found is None:
        raise UsageError(
            f"--format safetensors: the layer {type(layer).__name__} has no words in a card; use --format onnx or "
            "torchscript"
        )
    return found


def _square(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution is one that its words tell: square, zero-padded, neither dilated nor in groups."""
    alike = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    return alike and layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"


def _convolution(layer: nn.Conv2d | nn.ConvTranspose2d) -> Layer:
    turned = isinstance(layer, nn.ConvTranspose2d)
    found: Layer = {"kind": "conv_transposed" if turned else "conv", "inputs": layer.in_channels}
    found |= {"outputs": layer.out_channels, "kernel": layer.kernel_size[0], "stride": layer.stride[0]}
    found |= {"padding": int(layer.padding[0]), "bias": layer.bias is not None}
    return found | ({"more": list(layer.output_padding)} if turned else {})


def built(layers: Sequence[object], place: str) -> nn.Sequential:
    """Layers out of their words, on the device of the context.

    Args:
        layers: What a card tells.
        place: The card, for messages.

    Raises:
        DataError: If it tells anything but what `described` gives.
    """
    return nn.Sequential(*(_layer(words, f"{place}, layer {k}") for k, words in enumerate(layers)))


def _layer(words: object, place: str) -> nn.Module:
    if not isinstance(words, dict) or not isinstance(kind := words.get("kind"), str) or kind not in FIELDS:
        raise DataError(f"{place}: {words!r:.80} is no layer that this version knows; export the run again")
    if words.keys() != {"kind", *FIELDS[kind]}:
        raise DataError(f"{place}: {kind} has the fields {', '.join(FIELDS[kind]) or 'of no name'}, not {words!r:.120}")
    match kind:
        case "linear":
            sizes = whole(words, "inputs", place), whole(words, "outputs", place)
            return nn.Linear(*sizes, bias=flag(words, "bias", place))
        case "leaky_relu":
            return nn.LeakyReLU(number(words["slope"], place))
        case "flatten":
            return nn.Flatten()
        case "unflatten":
            return nn.Unflatten(1, shape_of(words["shape"], place))
        case "affine":
            return Affine(torch.zeros(whole(words, "size", place)), torch.ones(()))
        case "batch_norm":
            return nn.BatchNorm2d(whole(words, "channels", place))
        case "conv" | "conv_transposed":
            return _convolved(words, place)
        case "up":
            if words["norm"] not in ("batch", "pixel", "none"):
                raise DataError(f"{place}: norm is {words['norm']!r:.40}, not batch, pixel or none")
            return Up(whole(words, "width", place), words["norm"])
        case _:
            return PLAIN[kind]()


def _convolved(words: Mapping[str, Any], place: str) -> nn.Module:
    sizes = whole(words, "inputs", place), whole(words, "outputs", place)
    kernel, stride = (whole(words, name, place, high=KERNEL) for name in ("kernel", "stride"))
    padding, bias = whole(words, "padding", place, low=0, high=KERNEL), flag(words, "bias", place)
    if words["kind"] == "conv":
        return nn.Conv2d(*sizes, kernel, stride, padding, bias=bias)
    more = words["more"]
    if not isinstance(more, list) or len(more) != 2 or any(type(k) is not int or not 0 <= k < stride for k in more):
        raise DataError(f"{place}: more is {more!r:.40}, not two whole numbers below the stride")
    return nn.ConvTranspose2d(*sizes, kernel, stride, padding, (more[0], more[1]), bias=bias)


def whole(words: Mapping[str, Any], name: str, place: str, *, low: int = 1, high: int = LARGEST) -> int:
    """A whole number of a card.

    Raises:
        DataError: If it is none, or out of range.
    """
    value = words.get(name)
    if type(value) is not int or not low <= value <= high:
        raise DataError(f"{place}: {name} is {value!r:.40}, not a whole number from {low} to {high}")
    return value


def flag(words: Mapping[str, Any], name: str, place: str) -> bool:
    """A truth value of a card.

    Raises:
        DataError: If it is none.
    """
    if not isinstance(value := words.get(name), bool):
        raise DataError(f"{place}: {name} is {value!r:.40}, not true or false")
    return value


def shape_of(value: object, place: str) -> tuple[int, ...]:
    """A shape of one to four axes in a card.

    Raises:
        DataError: If it is none, or one of more than 2^24 numbers.
    """
    sizes = value if isinstance(value, list) else []
    good = 1 <= len(sizes) <= 4 and all(type(size) is int and 1 <= size <= LARGEST for size in sizes)
    if not good or math.prod(sizes) > LARGEST:
        raise DataError(f"{place}: {value!r:.60} is no shape of one to four axes and at most {LARGEST} numbers")
    return tuple(sizes)


def number(value: object, place: str) -> float:
    """A number of a card that single precision can hold.

    Raises:
        DataError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not -HUGE <= value <= HUGE:
        raise DataError(f"{place}: {value!r:.40} is no number, or one that single precision cannot hold")
    return float(value)


def answered(layers: nn.Sequential, x: Tensor, place: str) -> tuple[int, ...]:
    """Shape of what layers on the meta device answer to rows (n, d): nothing is computed, and no memory is taken.

    Raises:
        DataError: If they do not fit onto each other, or a map between them holds more than 2^24 numbers a row.
    """
    for k, layer in enumerate(layers):
        try:
            x = layer(x)
        except (RuntimeError, ValueError, IndexError) as error:
            why = " ".join(str(error).split())[:120]
            raise DataError(
                f"{place}, layer {k}: does not fit what comes before ({why}); export the run again"
            ) from error
        if x[0].numel() > LARGEST:
            raise DataError(f"{place}, layer {k}: a map of {tuple(x.shape[1:])}, more than {LARGEST} numbers")
    return tuple(x.shape[1:])
