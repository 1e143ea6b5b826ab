"""Tensors to compare: checked, and left as they are unless they hold whole numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pushforward.data.compare.grid import grids, pixel_grid, snapped
from pushforward.data.dataset import Kind
from pushforward.data.pixels import CHANNELS
from pushforward.data.raw import enough
from pushforward.errors import DataError
from pushforward.plain.findings import Said, of_form
from pushforward.plain.shares import percent

__all__ = ["LEAST", "tensor_pair"]

LEAST = 2  # rows that every set needs
BLOCK = 1 << 22  # values checked at a time
BRIGHT = 16.0  # largest number of pixels above which they are levels from 0 to 255
SLACK = 16.0  # so far may levels overshoot these
WHITE = 255 + SLACK
SEEN = 1 << 12  # rows in which levels are looked for


def tensor_pair(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Kind, list[Said]]:
    """Check tensors that are to be compared.

    Args:
        tensors: "fake", "real" and, if there is one, "train"; (n, d) or (n,), or images (n, c, h, w), uint8 also
            (n, h, w).

    Returns:
        The tensors: those with a fraction unchanged, whole numbers as float64, images of whole numbers or of levels
        from 0 to 255 in [-1, 1]; their kind; and what is to be said of them.

    Raises:
        DataError: If a tensor is too short, not finite, of another shape or on another scale than real.
    """
    out, spans, notes = {}, {}, list[Said]()
    for role, x in tensors.items():
        out[role], spans[role], more = _checked(x, role)
        notes += more
    notes += _levels(tensors, out, spans)
    real, kind = out["real"], "images" if out["real"].ndim == 4 else "points"
    for role, x in out.items():
        if x.shape[1:] != real.shape[1:]:
            raise DataError(
                f"{role} holds samples of shape {tuple(x.shape[1:])} and real of shape {tuple(real.shape[1:])}; only "
                f"like can be compared with like: decode or reshape {role} to the shape of real"
            )
        if kind == "images" and _scale(spans[role]) != _scale(spans["real"]):
            (a, b), (c, d) = spans[role], spans["real"]
            raise DataError(
                f"{role} holds pixels from {a:.4g} to {b:.4g} and real from {c:.4g} to {d:.4g}, which are two scales: "
                "bring both to [-1, 1]"
            )
    low, high = spans["real"]
    if kind == "images" and _scale((low, high)) != "-1..1":
        notes.append(f"pixels from {low:.4g} to {high:.4g} are left on that scale; the library's own images fill -1..1")
    elif kind == "images":
        notes += _off_pixels(out["fake"], real)
    elif real.ndim == 2:
        notes += _off_grid(out["fake"], real)
    return out, kind, notes


def _off_grid(fake: Tensor, real: Tensor) -> list[Said]:
    """A finding where real is discrete and fake is not, seen in a part of the rows."""
    q, p = (x.detach()[:SEEN].cpu().double().numpy() for x in (fake, real))
    _, notes = snapped(q, grids(p), list(map(str, range(p.shape[1]))), apply=False)
    return [of_form(f"{note}; rounded=True rounds fake") for note in notes]


def _off_pixels(fake: Tensor, real: Tensor) -> list[Said]:
    """The same for pixels in [-1, 1]."""
    rows = max(1, BLOCK // real[0].numel())
    q, p = (((x.detach()[:rows].cpu().float() + 1) * 127.5).numpy() for x in (fake, real))
    grid = pixel_grid(p)
    moved = 0.0 if grid is None else float(grid.moved(q, grid.to_grid(q)).mean())
    if grid is None or not moved:
        return []
    others = f"{percent(moved)} of fake values are others"
    apart = "rounding alone tells them apart; rounded=True rounds fake"
    return [of_form(f"pixels: real holds only {grid.words}, {others}: {apart}")]


def _checked(x: Tensor, role: str) -> tuple[Tensor, tuple[float, float], list[str]]:
    if x.is_sparse or x.layout != torch.strided:
        raise DataError(f"{role}: a sparse tensor: pass {role}.to_dense()")
    if x.is_complex():
        raise DataError(f"{role}: complex numbers cannot be compared: pass torch.view_as_real({role}).flatten(1)")
    if x.ndim == 0 or not x.numel():
        raise DataError(f"{role}: the shape {tuple(x.shape)} holds no samples: give (n, ...)")
    x = x[:, None] if x.ndim == 1 or (x.ndim == 3 and x.dtype == torch.uint8) else x
    enough(len(x), role, LEAST, "sample")
    if x.ndim == 4 and x.shape[1] not in CHANNELS and x.shape[3] in CHANNELS:
        raise DataError(
            f"{role} has shape {tuple(x.shape)}, with the channels last as it seems: pass {role}.permute(0, 3, 1, 2)"
        )
    if not x.is_floating_point():
        return _whole(x, role)
    low, high = _range(x, role)
    return x, (low, high), []


def _levels(given: Mapping[str, Tensor], out: dict[str, Tensor], spans: dict[str, tuple[float, float]]) -> list[str]:
    """Bring images with a fraction to [-1, 1] in place where all of them fill 0 to 255; notes of it."""
    floats = [role for role, x in given.items() if x.is_floating_point() and out[role].ndim == 4]
    if not all(spans[role][1] > BRIGHT and -SLACK <= spans[role][0] <= spans[role][1] <= WHITE for role in floats):
        return []
    notes = []
    for role in floats:
        (low, high), kind = spans[role], str(given[role].dtype).removeprefix("torch.")
        notes.append(f"{role}: {kind} from {low:.4g} to {high:.4g}, read as 0..255 and brought to -1..1")
        out[role], spans[role] = out[role] / 127.5 - 1, (-1.0, 1.0)
    return notes


def _whole(x: Tensor, role: str) -> tuple[Tensor, tuple[float, float], list[str]]:
    if x.ndim < 3:
        return x.double(), (0.0, 0.0), []
    black_and_white = x.dtype == torch.bool
    low, high = (0, 1) if black_and_white else (int(x.min()), int(x.max()))
    if low < 0 or high > 255:
        raise DataError(f"{role}: whole numbers from {low} to {high} are no pixels: pass uint8 from 0 to 255")
    notes = [f"{role}: {str(x.dtype).removeprefix('torch.')} from {low} to {high}, brought to -1..1"]
    return x.float() / (0.5 if black_and_white else 127.5) - 1, (-1.0, 1.0), notes


def _range(x: Tensor, role: str) -> tuple[float, float]:
    """Smallest and largest value, found block by block.

    Raises:
        DataError: If one is not finite.
    """
    low, high, rows = float("inf"), float("-inf"), max(1, BLOCK * len(x) // x.numel())
    for start in range(0, len(x), rows):
        least, most = torch.aminmax(x.detach()[start : start + rows])
        low, high = min(low, float(least)), max(high, float(most))
        if not (torch.isfinite(least) and torch.isfinite(most)):
            bad = [i for i, row in enumerate(x.detach()[start : start + rows]) if not row.isfinite().all()]
            raise DataError(
                f"{role}: row {start + bad[0]} holds NaN or infinity ({len(bad)} such rows among the first "
                f"{start + min(rows, len(x) - start):,}): drop them, or see why it diverged"
            )
    return low, high


def _scale(span: tuple[float, float]) -> str:
    """On which scale pixels lie; overshoot and images that are dark or pale throughout leave it as it is."""
    low, high = span
    if high > BRIGHT:
        return "0..255"
    return "0..1" if 0 <= low <= 0.1 and 0.5 <= high <= 1.001 else "-1..1"
