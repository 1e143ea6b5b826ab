r"""The Inception network of 2015-12-05, the one whose Fréchet distance is called FID, in torch alone.

It differs from the Inception-v3 of later libraries: 1008 logits, average pools that leave the padding out of the mean,
a maximum in the pool branch of the last block, inputs :math:`(u - 128) / 128` for levels u from 0 to 255, and the
bilinear resize of TensorFlow 1. The weights are the user's own copy of a published file.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import DataError
from pushforward.metrics.core.features import Features
from pushforward.metrics.networks.weights import check_images

__all__ = ["FILE", "SHA256_PREFIX", "Inception", "inception", "is_true_inception", "resize_tf1", "to_levels"]

SHA256_PREFIX = "6726825d"
FILE = f"weights-inception-2015-12-05-{SHA256_PREFIX}.pth"
_ORIGIN = f"take {FILE} from release v0.2.0 of github.com/toshas/torch-fidelity, or its twin from mseitzer/pytorch-fid"
_BLOCK = 32  # images in one pass: 299x299 maps of 64 channels take 6 MB each


@dataclass(frozen=True)
class _Spec:
    """A convolution of a block: its name in the weight file, output channels, height and width of the kernel."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


# Steps in a row; a step of two convolutions runs both on the same input and joins their channels.
_Branch = Sequence[tuple[_Spec, ...]]


class _Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, before: int, width: int, kernel: tuple[int, int], stride: int = 1, *, padded: bool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(before, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, and last a pool; all channels joined.

    Args:
        before: Input channels.
        branches: The convolutions.
        pool: "mean" (3x3, padding left out of the mean), "max" (3x3), or "halve" (3x3 maximum at every other place).
        pooled: Channels of the 1x1 convolution after the pool; None where there is none.
    """

    def __init__(self, before: int, branches: Sequence[_Branch], pool: str, pooled: int | None = None) -> None:
        super().__init__()
        self.branches = [[tuple(spec.name for spec in step) for step in branch] for branch in branches]
        self.pool = pool
        self.width = pooled or before
        for branch in branches:
            width = before
            for step in branch:
                for spec in step:
                    self.add_module(
                        spec.name, _Conv(width, spec.width, spec.kernel, spec.stride, padded=spec.stride == 1)
                    )
                width = sum(spec.width for spec in step)
            self.width += width
        self.branch_pool = None if pooled is None else _Conv(before, pooled, (1, 1), padded=True)

    def forward(self, x: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for branch in self.branches:
            y = x
            for step in branch:
                outcomes = [self.get_submodule(name)(y) for name in step]
                y = outcomes[0] if len(step) == 1 else torch.cat(outcomes, 1)
            parts.append(y)
        y = _pooled(x, self.pool)
        return torch.cat([*parts, y if self.branch_pool is None else self.branch_pool(y)], 1)


def _pooled(x: Tensor, how: str) -> Tensor:
    if how == "mean":
        return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
    return F.max_pool2d(x, 3, 1, padding=1) if how == "max" else F.max_pool2d(x, 3, 2)


def _row(*specs: _Spec) -> _Branch:
    return [(spec,) for spec in specs]


def _block35(before: int, pooled: int) -> _Mixed:
    return _Mixed(
        before,
        [
            _row(_Spec("branch1x1", 64)),
            _row(_Spec("branch5x5_1", 48), _Spec("branch5x5_2", 64, (5, 5))),
            _row(_Spec("branch3x3dbl_1", 64), *(_Spec(f"branch3x3dbl_{i}", 96, (3, 3)) for i in (2, 3))),
        ],
        "mean",
        pooled,
    )


def _block17(inner: int) -> _Mixed:
    flat, tall = (1, 7), (7, 1)
    double = [_Spec(f"branch7x7dbl_{i}", inner, kernel) for i, kernel in ((2, tall), (3, flat), (4, tall))]
    return _Mixed(
        768,
        [
            _row(_Spec("branch1x1", 192)),
            _row(_Spec("branch7x7_1", inner), _Spec("branch7x7_2", inner, flat), _Spec("branch7x7_3", 192, tall)),
            _row(_Spec("branch7x7dbl_1", inner), *double, _Spec("branch7x7dbl_5", 192, flat)),
        ],
        "mean",
        192,
    )


def _block8(before: int, pool: str) -> _Mixed:
    def fork(name: str) -> tuple[_Spec, _Spec]:
        return _Spec(f"{name}a", 384, (1, 3)), _Spec(f"{name}b", 384, (3, 1))

    double = _row(_Spec("branch3x3dbl_1", 448), _Spec("branch3x3dbl_2", 384, (3, 3)))
    return _Mixed(
        before,
        [
            _row(_Spec("branch1x1", 320)),
            [*_row(_Spec("branch3x3_1", 384)), fork("branch3x3_2")],
            [*double, fork("branch3x3dbl_3")],
        ],
        pool,
        192,
    )


def _halve35() -> _Mixed:
    double = _row(
        _Spec("branch3x3dbl_1", 64), _Spec("branch3x3dbl_2", 96, (3, 3)), _Spec("branch3x3dbl_3", 96, (3, 3), 2)
    )
    return _Mixed(288, [_row(_Spec("branch3x3", 384, (3, 3), 2)), double], "halve")


def _halve17() -> _Mixed:
    first, second = (_Spec(f"branch7x7x3_{i}", 192, kernel) for i, kernel in ((2, (1, 7)), (3, (7, 1))))
    return _Mixed(
        768,
        [
            _row(_Spec("branch3x3_1", 192), _Spec("branch3x3_2", 320, (3, 3), 2)),
            _row(_Spec("branch7x7x3_1", 192), first, second, _Spec("branch7x7x3_4", 192, (3, 3), 2)),
        ],
        "halve",
    )


class Inception(nn.Module):
    """Classifier of 299x299 colour images into 1008 classes; parameters are named as in the published weight files."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, (3, 3), 2, padded=False)
        self.Conv2d_2a_3x3 = _Conv(32, 32, (3, 3), padded=False)
        self.Conv2d_2b_3x3 = _Conv(32, 64, (3, 3), padded=True)
        self.Conv2d_3b_1x1 = _Conv(64, 80, (1, 1), padded=False)
        self.Conv2d_4a_3x3 = _Conv(80, 192, (3, 3), padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block35(192, 32), _block35(256, 64), _block35(288, 64)
        self.Mixed_6a = _halve35()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_block17(inner) for inner in (128, 160, 160, 192))
        self.Mixed_7a = _halve17()
        self.Mixed_7b, self.Mixed_7c = _block8(1280, "mean"), _block8(2048, "max")
        self.fc = nn.Linear(2048, 1008)

    def features(self, x: Tensor) -> Tensor:
        """Images (n, 3, 299, 299), whole numbers 0..255 or what `resize_tf1` makes of them, to features (n, 2048)."""
        x = (x - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The same images to logits (n, 1008) without the bias of the last layer, as the Inception Score takes them."""
        return F.linear(self.features(x), self.fc.weight)


def to_levels(x: Tensor) -> Tensor:
    """Images to whole numbers 0..255 in float32 and three channels; floats are rounded, never truncated.

    Args:
        x: (n, 1 or 3, s, s), uint8, or floats in [-1, 1].

    Raises:
        DataError: If the shape is another, or floats lie outside [-1.05, 1.05].
    """
    if x.dtype == torch.uint8:
        check_images("inception", torch.zeros_like(x, dtype=torch.float32))
        levels = x.float()
    else:
        check_images("inception", x)
        levels = ((x.float() + 1) * 127.5).round().clamp(0, 255)
    return levels.expand(-1, 3, -1, -1)


def resize_tf1(x: Tensor, side: int) -> Tensor:
    r"""Bilinear resize as TensorFlow 1 had it: no half-pixel centres, no antialiasing.

    Output place j lies at :math:`s = j \cdot \text{in} / \text{out}` of the input, between its pixels floor(s) and
    floor(s) + 1; beyond the last pixel that pixel is repeated.

    Args:
        x: Images, (n, channels, h, w), floats.
        side: Side of the result.

    Returns:
        (n, channels, side, side).
    """
    for axis in (3, 2):
        size = x.shape[axis]
        place = torch.arange(side, device=x.device, dtype=torch.float32) * (size / side)
        low = place.long()
        share = (place - low).to(x.dtype)
        first, second = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp_max(size - 1))
        x = first + (second - first) * (share if axis == 3 else share[:, None])
    return x


def inception(weights: Path, *, device: torch.device | str = "cpu") -> Features:
    """The feature space of FID, with the classifier of the Inception Score, from your own copy of the weights.

    Features are the 2048 means of the last maps; logits leave out the bias of the last layer, as that score does.
    Parity with other implementations was not measured: it needs the file, which does not come with this package.

    Args:
        weights: The file `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity, or the same file under the name
            `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid. Only tensors are read from it, no code.
        device: Where the network runs.

    Raises:
        DataError: If the file is missing, its SHA-256 does not begin with 6726825d, or it holds other weights.

    References:
        Rethinking the Inception architecture for computer vision (Szegedy et al., 2015), arXiv:1512.00567;
        GANs trained by a two time-scale update rule (Heusel et al., 2017), arXiv:1706.08500.
    """
    if not weights.is_file():
        raise DataError(f"{weights} is missing: {_ORIGIN}")
    content = weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(SHA256_PREFIX):
        raise DataError(f"{weights} has SHA-256 {digest[:8]}..., wanted {SHA256_PREFIX}...: {_ORIGIN}")
    network = Inception()
    _restore(network, content, weights)
    network.to(device).eval().requires_grad_(False)

    def run(part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        return torch.cat([part(resize_tf1(to_levels(few.to(device)), 299)) for few in x.split(_BLOCK)])

    return Features("inception", digest, 2048, partial(run, network.features), classify=partial(run, network))


def is_true_inception(features: Features) -> bool:
    """Whether a Fréchet distance in this feature space may be called FID: whether it is that of `inception`."""
    return features.name == "inception" and features.dim == 2048 and features.sha.startswith(SHA256_PREFIX)


def _restore(network: Inception, content: bytes, path: Path) -> None:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
        network.load_state_dict(counters | dict(state))  # older files do not count batches; nothing here needs it
    except (RuntimeError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        said = str(error).strip().splitlines()[-1].strip()
        raise DataError(f"{path} does not hold the weights of this network ({said}): {_ORIGIN}") from error
