"""A feature space for small colour images: a residual network that tells the ten classes of CIFAR-10 apart."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.metrics.core.features import Features
from pushforward.metrics.networks.weights import check_images, read, resized, space

__all__ = ["SHA256", "CifarResNet", "cifar_resnet", "to_32x32"]

SHA256 = "a2067db4c18147dfc88913b0ae0f1b8cf432d3c42ce1a30a7338e458c1813198"


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; where the width grows, the side halves."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.halves = before != width
        self.conv1 = nn.Conv2d(before, width, 3, stride=2 if self.halves else 1, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(before, width, 1, bias=False) if self.halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(F.avg_pool2d(x, 2) if self.halves else x))


class CifarResNet(nn.Module):
    """Classifier of 32x32 colour images, 0.66 million weights; the mean of its last map is the feature vector.

    Attributes:
        spread: Standard deviation of each mean over the training images, (128,); features are divided by it.
    """

    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(_Block(32, 64), _Block(64, 64), _Block(64, 128), _Block(128, 128))
        self.head = nn.Linear(128, 10)
        self.register_buffer("spread", torch.ones(128))

    def activations(self, x: Tensor) -> Tensor:
        """Images (n, 3, 32, 32) in [-1, 1] to the means of the last map, (n, 128), none of them negative."""
        return self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3))

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 3, 32, 32) in [-1, 1] to features (n, 128), in standard deviations of the training images."""
        return self.activations(x) / self.spread

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, 32, 32) in [-1, 1] to class logits (n, 10)."""
        return self.head(self.activations(x))


def to_32x32(x: Tensor) -> Tensor:
    """Square images to three channels and 32x32, other sides by antialiased bilinear interpolation.

    Args:
        x: Images, (n, 1, s, s) or (n, 3, s, s), in [-1, 1]; grey is repeated in every channel.

    Returns:
        (n, 3, 32, 32), in [-1, 1], channels last in memory.

    Raises:
        DataError: If the shape is another, or values lie outside [-1.05, 1.05].
    """
    check_images("cifar_resnet", x)
    return resized(x, 32).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def cifar_resnet(weights: Path | None = None, *, device: torch.device | str = "cpu") -> Features:
    """Small colour images: `CifarResNet` trained on the 50,000 training images of CIFAR-10 in a lossy copy.

    The copy holds JPEGs of quality 75 with colour at half resolution, and the network names 88.26 % of its 5,000 test
    images right. Numbers are not comparable to published CIFAR-10 numbers, neither that accuracy nor any distance, and
    features may answer to the traces of that compression.

    Args:
        weights: A file of your own, made by `scripts/train_cifar_resnet.py DATA.npz WEIGHTS`, whose hash the identity
            then bears; where omitted, the one in the package.
        device: Where the network runs.

    Raises:
        DataError: If the file is missing, is not the one of this version, or holds another network.

    References:
        Deep residual learning for image recognition (He et al., 2015), arXiv:1512.03385;
        Learning multiple layers of features from tiny images (Krizhevsky, 2009).
    """
    path = weights or Path(__file__).with_name("cifar_resnet.safetensors")
    network = CifarResNet()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    found = read(path, SHA256 if weights is None else None)
    return space("cifar_resnet", network, 128, to_32x32, found, path, device)
