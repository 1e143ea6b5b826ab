"""Feature spaces for small grey images: a network after LeNet that reads digits, and one that knows clothes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.metrics.core.features import Features
from pushforward.metrics.networks.weights import grey, read, resized, space

__all__ = ["FASHION_SHA256", "MNIST_SHA256", "LeNet", "fashion_lenet", "lenet", "mnist_lenet", "to_28x28"]

MNIST_SHA256 = "efa93625acd4b21c9d8b7d75208798635f92f46b63c201e6ffbd134abba88638"
FASHION_SHA256 = "160ebcb444a29fd22786bad545568262726f3459d00ed443f2dbf95cf199655c"


class LeNet(nn.Module):
    """Classifier of 28x28 grey images, 0.19 million weights; its 128 penultimate activations are the features.

    Attributes:
        spread: Standard deviation of each activation over the training images, (128,); features are divided by it.
    """

    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.hidden = nn.Linear(64 * 4 * 4, 128)
        self.head = nn.Linear(128, 10)
        self.register_buffer("spread", torch.ones(128))

    def activations(self, x: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) in [-1, 1] to the activations before the classifier, (n, 128)."""
        x = F.max_pool2d(F.silu(self.conv1(x)), 2)
        x = F.max_pool2d(F.silu(self.conv2(x)), 2)
        return F.silu(self.hidden(x.flatten(1)))

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) in [-1, 1] to features (n, 128), in standard deviations of the training images."""
        return self.activations(x) / self.spread

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) in [-1, 1] to class logits (n, 10)."""
        return self.head(self.activations(x))


def to_28x28(x: Tensor) -> Tensor:
    """Square images to grey 28x28.

    Colours are averaged. 32x32 images are taken for 28x28 ones with two pixels of padding on each side, as this library
    pads them, and cropped; other sides are resized with antialiased bilinear interpolation.

    Args:
        x: Images, (n, 1, s, s) or (n, 3, s, s), in [-1, 1].

    Returns:
        (n, 1, 28, 28), in [-1, 1].

    Raises:
        DataError: If the shape is another, or values lie outside [-1.05, 1.05].
    """
    x = grey("lenet", x)
    return x[..., 2:30, 2:30] if x.shape[-1] == 32 else resized(x, 28)


def mnist_lenet(*, device: torch.device | str = "cpu") -> Features:
    """Handwritten digits: `LeNet` trained on the 60,000 training images of MNIST.

    It names 99.56 % of 5,000 test images right (`scripts/train_lenet.py mnist.npz OUT`, five epochs). The network knows
    the training images: take test images for the reference.

    Args:
        device: Where the network runs.

    Raises:
        DataError: If the weight file in the package is missing or changed.

    References:
        Gradient-based learning applied to document recognition (LeCun et al., 1998).
    """
    path = Path(__file__).with_name("mnist_lenet.safetensors")
    return _space("mnist_lenet", read(path, MNIST_SHA256), path, device)


def fashion_lenet(*, device: torch.device | str = "cpu") -> Features:
    """Clothes: `LeNet` trained on the first 25,000 training images of Fashion-MNIST.

    It names 90.68 % of 5,000 test images right (`scripts/train_lenet.py fashion_mnist_25k.npz OUT --epochs 10`).

    Args:
        device: Where the network runs.

    Raises:
        DataError: If the weight file in the package is missing or changed.

    References:
        Fashion-MNIST: a novel image dataset for benchmarking (Xiao, Rasul & Vollgraf, 2017), arXiv:1708.07747.
    """
    path = Path(__file__).with_name("fashion_lenet.safetensors")
    return _space("fashion_lenet", read(path, FASHION_SHA256), path, device)


def lenet(weights: Path, *, device: torch.device | str = "cpu") -> Features:
    """`LeNet` with weights of your own, made once by `scripts/train_lenet.py DATA.npz WEIGHTS` and kept.

    Its identity is that file's: "lenet-1a2b3c4d". A copy of a file in the package has the name of that one.

    Args:
        weights: The file that the script wrote.
        device: Where the network runs.

    Raises:
        DataError: If the file is missing or holds another network.
    """
    content, digest = read(weights)
    name = {MNIST_SHA256: "mnist_lenet", FASHION_SHA256: "fashion_lenet"}.get(digest, "lenet")
    return _space(name, (content, digest), weights, device)


def _space(name: str, weights: tuple[bytes, str], place: Path, device: torch.device | str) -> Features:
    return space(name, LeNet(), 128, to_28x28, weights, place, device)
