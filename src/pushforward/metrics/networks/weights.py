"""Weight files of feature networks: read under their SHA-256, written small; and the images that such networks take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward import files
from pushforward.errors import DataError
from pushforward.metrics.core.features import Features

__all__ = ["check_images", "grey", "read", "resized", "settle", "space", "write"]


class Network(Protocol):
    """A torch module, a classifier that also answers with features."""

    def features(self, x: Tensor) -> Tensor: ...
    def load_state_dict(self, state_dict: dict[str, Tensor]) -> Any: ...
    def to(self, device: torch.device | str) -> Any: ...
    def eval(self) -> nn.Module: ...
    def __call__(self, x: Tensor) -> Tensor: ...


def read(path: Path, wanted: str | None = None) -> tuple[bytes, str]:
    """A file's content and its SHA-256 in hexadecimal.

    Args:
        path: The file.
        wanted: The hash that it must have, where it comes with the package.

    Raises:
        DataError: If the file is missing or has another hash.
    """
    if not path.is_file():
        remedy = "reinstall the package" if wanted else "check the path, or train the network with its script"
        raise DataError(f"{path} is missing: {remedy}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if wanted and digest != wanted:
        raise DataError(f"{path} has SHA-256 {digest[:8]}..., wanted {wanted[:8]}...: reinstall the package")
    return content, digest


def space(
    name: str,
    network: Network,
    dim: int,
    prepare: Callable[[Tensor], Tensor],
    weights: tuple[bytes, str],
    place: Path,
    device: torch.device | str,
) -> Features:
    """The feature space of a network of this package, with weights that `read` gave.

    Args:
        name: What it is called.
        network: Gets the weights, in float32, and goes to the device, to be evaluated there.
        dim: Number of features.
        prepare: Samples (n, *event) to what the network takes.
        weights: Content and SHA-256 of the weight file.
        place: That file, for messages.
        device: Where the network runs.

    Raises:
        DataError: If it is no safetensors file, or one of another network.
    """
    content, digest = weights
    _restore(network, content, place)
    network.to(device)

    def ready(x: Tensor) -> Tensor:
        return prepare(x.to(device, torch.float32))

    return Features(name, digest, dim, lambda x: network.features(ready(x)), classify=lambda x: network(ready(x)))


def write(network: nn.Module, path: Path, words: str) -> str:
    """Write weights as float16 in one safetensors file; answer with its SHA-256.

    Args:
        network: What to write.
        path: Where to.
        words: Architecture, a semicolon, and how it was trained: "lenet; seed 0, epochs 4". `load_network` reads it.
    """
    state = {name: _half(value).cpu().contiguous() for name, value in network.state_dict().items()}
    # One key: the order of several in the header, and with it the hash, would change from run to run.
    content = save(state, {"pushforward": words})
    files.write(path, content, parents=True)
    return hashlib.sha256(content).hexdigest()


def settle(network: nn.Module, features: Callable[[Tensor], Tensor], spread: Tensor, x: Tensor) -> None:
    """Round a trained network's weights to float16, then measure the spread of its features on training images.

    Features are divided by `spread`, so that they come in standard deviations of the training images. A feature that
    hardly varied there is divided by a tenth of the median spread, lest other images make it the only one that counts.

    Args:
        network: Changed in place.
        features: Its features before that division, (n, *event) -> (n, dim).
        spread: The network's own buffer (dim,), overwritten.
        x: Training images as the network takes them, (n, *event).
    """
    network.eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(_half(value))
        found = torch.cat([features(part).double() for part in x.split(500)]).std(0)
        spread.copy_(_half(found.clamp_min(0.1 * found.median()).float()))


def check_images(name: str, x: Tensor) -> None:
    """Refuse what is not a batch of square images in model units.

    Args:
        name: The feature space, for messages.
        x: Images, (n, 1, s, s) or (n, 3, s, s), in [-1, 1].

    Raises:
        DataError: If the shape is another, or values lie outside [-1.05, 1.05].
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or x.shape[2] != x.shape[3]:
        raise DataError(f"{name} got shape {tuple(x.shape)}: give square images as (n, 1 or 3, side, side)")
    low, high = float(x.min()), float(x.max())
    if not -1.05 <= low <= high <= 1.05:
        raise DataError(f"{name} got values in [{low:.4g}, {high:.4g}]: give model units, [-1, 1], not 0..1 or 0..255")


def grey(name: str, x: Tensor) -> Tensor:
    """Square images in model units, (n, 1 or 3, s, s), with their colours averaged: (n, 1, s, s).

    Raises:
        DataError: As `check_images`.
    """
    check_images(name, x)
    return x.mean(1, keepdim=True)


def resized(x: Tensor, side: int) -> Tensor:
    """Images (n, channels, s, s) to (n, channels, side, side), if need be by antialiased bilinear interpolation."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)


def _half(value: Tensor) -> Tensor:
    return value.detach().half() if value.is_floating_point() else value.detach()


def _restore(network: Network, content: bytes, place: Path) -> None:
    """Load a safetensors file into a network, in float32, and set the network to evaluation."""
    kind = type(network).__name__
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError, KeyError) as error:
        said = str(error).strip().splitlines()[-1].strip()
        raise DataError(f"{place} is no weight file of {kind} ({said}): give one that its script wrote") from error
    network.eval().requires_grad_(False)
