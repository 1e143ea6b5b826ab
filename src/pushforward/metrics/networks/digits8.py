"""The bundled feature space for small images: a network that reads 8x8 digits, with its weights in the package."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.metrics.core.features import Features
from pushforward.metrics.networks.weights import grey, read, resized, space

__all__ = ["SHA256", "WEIGHTS", "Digits8", "digits8", "of_weights", "to_8x8"]

WEIGHTS = Path(__file__).with_name("digits8.safetensors")
SHA256 = "7b88175dc3193791613c63ef2ce919855448cc813ab4301f50d9a8297f81a6b9"


class Digits8(nn.Module):
    """Classifier of 8x8 digits; its 64 penultimate activations are the features.

    Trained by `scripts/train_digits8.py` on all 1,797 digits that come with scikit-learn: the network knows the
    images of any split, so only a held-out split makes a fair reference for a generator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 40, 3, padding=1, stride=2)
        self.conv3 = nn.Conv2d(40, 48, 3, padding=1)
        self.hidden = nn.Linear(48 * 4 * 4, 64)
        self.head = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1, 8, 8) in [-1, 1] to features (n, 64)."""
        x = F.silu(self.conv1(x))
        x = F.silu(self.conv2(x))
        x = F.silu(self.conv3(x))
        return F.silu(self.hidden(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, 8, 8) in [-1, 1] to class logits (n, 10)."""
        return self.head(self.features(x))


def to_8x8(x: Tensor) -> Tensor:
    """Square images to grey 8x8: mean over colours, then mean over pixels of each cell.

    Sides that are no multiple of eight are resized with antialiased bilinear interpolation.

    Args:
        x: Images, (n, 1, s, s) or (n, 3, s, s), in [-1, 1].

    Returns:
        (n, 1, 8, 8), in [-1, 1].

    Raises:
        DataError: If the shape is another, or values lie outside [-1.05, 1.05].
    """
    x = grey("digits8", x)
    side = x.shape[-1]
    return resized(x, 8) if side % 8 else F.avg_pool2d(x, side // 8)


def digits8(weights: Path = WEIGHTS, *, device: torch.device | str = "cpu") -> Features:
    """The feature space of `Digits8`: 64 features, and a classifier into ten classes.

    Args:
        weights: The weight file; any copy of the one in the package.
        device: Where the network runs.

    Raises:
        DataError: If the file is missing or is not the one that this version was released with.
    """
    return of_weights(read(weights, SHA256), weights, device)


def of_weights(weights: tuple[bytes, str], place: Path, device: torch.device | str) -> Features:
    """The feature space of a `Digits8` with weights that `read` gave."""
    return space("digits8", Digits8(), 64, to_8x8, weights, place, device)
