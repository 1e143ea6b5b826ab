"""Layers in words, and back: the architecture that a card tells, of which nothing is ever executed.

    {"kind": "linear", "inputs": 2, "outputs": 128, "bias": true}

A card may come from anywhere. Every word of it is held against what this module would have written: known kinds with
exactly their fields, whole numbers within bounds. Modules are made without memory, and take that of the file's tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pushforward.errors import DataError, UsageError
from pushforward.nets.blocks import Affine, FourierFeatures, GeneratorNet, Norm, NormalStart, PixelNorm
from pushforward.nets.resnet import Up
from pushforward.plain.words import LARGEST, Words

__all__ = ["Layer", "answered", "built", "described", "plain"]

Layer = dict[str, Any]

KERNEL = 16  # of a convolution's window, stride and padding
DEEPEST = 100  # layers beside a normal start
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
    "fourier": ("inputs", "features", "damped"),
    "normal_start": ("inputs", "outputs", "layers"),
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


def plain(net: nn.Module) -> nn.Module:
    """A net with layers of the weights that spectral norms and the like come to, where these layers have words.

    Others stay as they are, and what makes their weights becomes part of the graph. Torch's own removal takes a
    weight's name from a class that a net and its copies share, and would leave them without it.
    """
    if parametrize.is_parametrized(net) and (words := _told(net)) is not None:
        fresh = _layer(words, "the run's net").to(next(net.parameters())).train(net.training)
        held = dict(net.named_parameters(recurse=False)) | dict(net.named_buffers(recurse=False))
        held |= {name: made() for name, made in net.get_submodule("parametrizations").named_children()}
        fresh.load_state_dict({name: tensor.detach() for name, tensor in held.items()})
        return fresh
    if not parametrize.is_parametrized(net):
        for name, child in list(net.named_children()):
            net.add_module(name, plain(child))
    return net


def _words(layer: nn.Module) -> Layer:
    if (found := _told(layer)) is None:
        raise UsageError(
            f"--format safetensors: the layer {type(layer).__name__} has no words in a card; use --format onnx or "
            "torchscript"
        )
    return found


def _told(layer: nn.Module) -> Layer | None:
    """The words of a layer; None where it has none."""
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
        case FourierFeatures():
            inputs, features = layer.frequencies.shape
            found = {"kind": "fourier", "inputs": inputs, "features": features, "damped": layer.heights is not None}
        case NormalStart():
            found = {"kind": "normal_start", "inputs": layer.axes.shape[0], "outputs": layer.axes.shape[1]}
            found["layers"] = [words for words, _ in described(layer.body)]
        case _:
            alike = [name for name, kind in PLAIN.items() if type(layer) is kind and repr(layer) == repr(kind())]
            found = {"kind": alike[0]} if alike else None
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


def _layer(value: object, place: str) -> nn.Module:
    words = Words.of(value, place)
    kind = words.values.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise DataError(f"{place}: {value!r:.80} is no layer that this version knows; export the run again")
    words.exactly("kind", *FIELDS[kind])
    match kind:
        case "linear":
            return nn.Linear(words.whole("inputs"), words.whole("outputs"), bias=words.flag("bias"))
        case "leaky_relu":
            return nn.LeakyReLU(words.number("slope"))
        case "flatten":
            return nn.Flatten()
        case "unflatten":
            return nn.Unflatten(1, words.shape("shape"))
        case "affine":
            return Affine(torch.zeros(words.whole("size")), torch.ones(()))
        case "batch_norm":
            return nn.BatchNorm2d(words.whole("channels"))
        case "conv" | "conv_transposed":
            return _convolved(words, kind == "conv_transposed")
        case "fourier":
            inputs, features = words.whole("inputs"), words.whole("features")
            return FourierFeatures(inputs, features, damped=words.flag("damped"))
        case "normal_start":
            return _normal_start(words)
        case "up":
            return Up(words.whole("width"), words.one_of("norm", get_args(Norm)))
        case _:
            return PLAIN[kind]()


def _normal_start(words: Words) -> nn.Module:
    inputs, outputs, layers = words.whole("inputs"), words.whole("outputs"), words.values["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= DEEPEST:
        raise words.unlike("layers", f"a list of 1 to {DEEPEST} layers")
    if any(isinstance(inner, dict) and inner.get("kind") == "normal_start" for inner in layers):
        raise words.unlike("layers", "layers without a normal start of their own")
    inside = [_layer(inner, f"{words.place}, inner layer {k}") for k, inner in enumerate(layers)]
    return NormalStart(nn.Sequential(*inside), torch.zeros(outputs), torch.zeros(inputs, outputs))


def _convolved(words: Words, turned: bool) -> nn.Module:
    sizes = words.whole("inputs"), words.whole("outputs")
    kernel, stride = (words.whole(name, high=KERNEL) for name in ("kernel", "stride"))
    padding, bias = words.whole("padding", low=0, high=KERNEL), words.flag("bias")
    if not turned:
        return nn.Conv2d(*sizes, kernel, stride, padding, bias=bias)
    high, wide = words.wholes("more", high=stride - 1, count=2)
    return nn.ConvTranspose2d(*sizes, kernel, stride, padding, (high, wide), bias=bias)


def answered(layers: nn.Sequential, x: Tensor, place: str) -> tuple[int, ...]:
    """Shape of what layers on the meta device answer to rows (n, d): nothing is computed, and no memory is taken.

    Raises:
        DataError: If they do not fit onto each other, or a map between them holds more than 2^24 numbers a row.
    """
    for k, layer in enumerate(layers):
        if isinstance(layer, NormalStart):
            inner, outputs = answered(layer.body, x, f"{place}, layer {k}"), (layer.axes.shape[1],)
            if inner != outputs:
                raise DataError(f"{place}, layer {k}: its layers answer with {inner}, and it adds {outputs} to them; "
                                "export the run again")  # fmt: skip
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
