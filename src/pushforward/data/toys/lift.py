r"""Points on a plane in a space of many numbers, :math:`x = F y + \epsilon`: data whose few coordinates are hidden."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pushforward.data.blocks.limits import budget
from pushforward.data.dataset import Dataset, fingerprint
from pushforward.data.kept.card import hollow
from pushforward.data.units import Unit
from pushforward.densities.mixture import Mixture
from pushforward.errors import UsageError
from pushforward.randomness import generator

__all__ = ["lift"]


def lift(data: Dataset, dim: int, *, noise: float = 0.05, seed: int = 0) -> Dataset:
    """The same points in a space of `dim` numbers: turned by a random frame, with noise in all directions.

    The frame F is an isometry in data units; model units stay divided by one scale, that of the points.

    Args:
        data: Points with k columns.
        dim: Numbers of a lifted point, at least k.
        noise: Standard deviation of the noise in each direction, as a share of the points' scale.
        seed: Seed of the frame and of the noise.

    Raises:
        UsageError: If the data are images, `dim` is too small, or the result does not fit into memory.
    """
    k = math.prod(data.event)
    if data.kind != "points" or dim < k:
        raise UsageError(f"dim {dim}: {data.name} holds {data.kind} of {k} numbers; lift points to {k} or more")
    need = 8 * (len(data.train) + len(data.test)) * (2 * k + 3 * dim)
    if need > budget():
        raise UsageError(f"dim {dim}: {data.name} lifted needs {need / 2**30:.1f} GiB of memory: give a limit")
    rng = generator(seed, "data", part="lift")
    drawn = rng.standard_normal((dim, k))
    frame = np.linalg.qr(drawn)[0]
    if data.hollow:  # the scale is that of the rows: who has the run's own data puts them in place of these
        none = (hollow(len(part), (dim,)) for part in (data.train, data.test))
        return replace(data, train=next(none), test=next(none), columns=(), unit=None, kinds=(), support=None)
    scale = float(np.sqrt(np.square(data.decode(data.train) - data.decode(data.train).mean(0)).mean()))
    unit = Unit(np.zeros(dim), np.array([scale]))

    def lifted(x: Tensor) -> Tensor:
        y = data.decode(x)
        return unit.encode(y @ frame.T + noise * scale * rng.standard_normal((len(y), dim)))

    mixture = data.mixture
    if mixture is not None:
        turn = torch.from_numpy(frame)
        spread = (noise * scale) ** 2 * torch.eye(dim, dtype=torch.float64)
        covariances = turn @ mixture.covariances @ turn.T + spread
        mixture = Mixture(mixture.means @ turn.T, covariances, mixture.weights)
    train, test = lifted(data.train), lifted(data.test)
    flat = np.frombuffer(bytes.fromhex(data.split.sha256), np.uint8)
    return replace(
        data,
        split=replace(data.split, sha256=fingerprint(flat, drawn, np.array([noise]))),
        name=f"{data.name} in {dim} dimensions",
        train=train,
        test=test,
        decode=unit.decode,
        encode=unit.encode,
        mixture=mixture if mixture is None or noise else None,
        columns=(),
        kinds=(),
        unit=unit,
        support=None,
    )
