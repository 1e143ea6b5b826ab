"""Codes of a run's held-out rows, as an evaluation keeps them beside the samples, and how they are read back.

samples/codes.npz     of n rows and codes of d numbers, float32: `middle` and `drawn` (n, d), `prior` (m, d), numbers
                      of classes `labels` (n,) with `names`; `rates`, `told` and `active` (d,); numbers: step, flow,
                      unit, account (9,), bound (3,) with `protocol`; and where there are such, densities on a grid,
                      `across` (g,), `up` (h,), `prior_density` and `aggregate_density` (h, g), and pictures, uint8:
                      `originals` and `reconstructions` (k, h, w[, c]), `traversals` (r, s, h, w[, c]) of the numbers
                      `walked` (r,), `samples` (k, h, w[, c])
"""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.report.kept.arrays import Arrays, content, images, numbers, read

__all__ = ["FILE", "Account", "Bound", "Codes", "Densities", "Pictures", "read_codes"]

FILE = "codes.npz"
MOST_ROWS, MOST_CODE, MOST_SIDE, MOST_PICTURES = 10_000, 4096, 400, 256  # that a page draws
Array = NDArray[np.float64]
FLOWS = ("none", "common", "own")


@dataclass(frozen=True)
class Account:
    """Where a bound goes, means over rows in nats; a number that is not known is NaN.

    Attributes:
        rows: n, held-out rows.
        reconstruction: Mean of log p(x|z).
        information: What codes tell of which row they came from.
        marginal: KL of the aggregated posterior of these rows from the prior.
        error: Standard error of the marginal.
        divergence: Mean KL of q(z|x) from the prior, the sum of both.
        elbo: The bound, reconstruction less divergence.
        spread: Standard error of the bound.
        bits_back: Bits that bits-back coding takes for each number of a row of levels.
    """

    rows: int
    reconstruction: float
    information: float
    marginal: float
    error: float
    divergence: float
    elbo: float
    spread: float
    bits_back: float = math.nan

    @property
    def most(self) -> float:
        """log n, which the information cannot exceed."""
        return math.log(self.rows)


@dataclass(frozen=True)
class Bound:
    """A bound by several codes of each row.

    Attributes:
        rows: How many rows it is a mean over, the first of those of the account.
        value: In nats.
        error: Its standard error.
        protocol: By how many codes, and how many of them count.
    """

    rows: int
    value: float
    error: float
    protocol: str


@dataclass(frozen=True, eq=False)
class Densities:
    """Densities in a plane of codes, at all pairs of `across` (g,) and `up` (h,).

    Attributes:
        across: The first number.
        up: The second.
        prior: (h, g), or None where it is not known.
        aggregate: That of the aggregated posterior, likewise.
    """

    across: Array
    up: Array
    prior: Array | None = None
    aggregate: Array | None = None


@dataclass(frozen=True, eq=False)
class Pictures:
    """What codes look like, uint8 (..., h, w[, c]).

    Attributes:
        originals: Held-out images, (k,).
        reconstructions: What their codes are decoded to, (k,).
        traversals: One number of a code after another walked along, (r, s), about the code of the first image.
        walked: Which numbers these are, (r,).
        samples: What codes from the prior are decoded to, (k,).
    """

    originals: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8]
    traversals: NDArray[np.uint8]
    walked: NDArray[np.int64]
    samples: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of held-out rows and those that a prior draws.

    Attributes:
        step: Steps of training that were done.
        middle: Where the middle of q(z|x) goes, (n, d).
        drawn: A draw of each row's q, (n, d).
        prior: Draws of the prior, (m, d).
        rates: KL of each number of z0 from N(0, 1), (d,), in nats, a mean over rows.
        told: What each number tells by itself of its row, (d,), in nats.
        active: Whether its middle varies from row to row, (d,).
        account: Where the bound goes.
        flow: What comes after z0: none; common, a flow; or own, one that sees the row.
        unit: Of what densities of rows are.
        labels: Numbers of the rows' classes, (n,), or None.
        names: Of classes.
        bound: The importance-weighted bound, where the method has one.
        densities: In a plane of codes.
        pictures: Of images.
    """

    step: int
    middle: Array
    drawn: Array
    prior: Array
    rates: Array
    told: Array
    active: NDArray[np.bool_]
    account: Account
    flow: str = "none"
    unit: str = ""
    labels: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()
    bound: Bound | None = None
    densities: Densities | None = None
    pictures: Pictures | None = None

    def content(self) -> bytes:
        """The file."""
        arrays: dict[str, Any] = {
            "step": self.step, "flow": self.flow, "unit": self.unit, "account": astuple(self.account),
            "active": self.active.astype(np.uint8), "names": np.array(self.names, np.str_),
        }  # fmt: skip
        clouds = {"middle": self.middle, "drawn": self.drawn, "prior": self.prior}
        arrays |= {name: _known(x) for name, x in (clouds | {"rates": self.rates, "told": self.told}).items()}
        if self.labels is not None:
            arrays["labels"] = self.labels
        if self.bound is not None:
            arrays["bound"] = (self.bound.rows, self.bound.value, self.bound.error)
            arrays["protocol"] = self.bound.protocol
        if self.densities is not None:
            plane = self.densities
            arrays |= {"across": plane.across, "up": plane.up}
            fields = {"prior_density": plane.prior, "aggregate_density": plane.aggregate}
            arrays |= {name: _known(field) for name, field in fields.items() if field is not None}
        if self.pictures is not None:
            arrays |= asdict(self.pictures)
        return content(arrays)


def _known(x: Array) -> NDArray[np.float32]:
    return x.astype(np.float32)


def read_codes(folder: Path) -> tuple[Codes | None, list[str]]:
    """What is kept in the folder of samples, and the name of the file where it is there and cannot be read."""
    return read(folder / FILE, _codes)


def _codes(arrays: Arrays) -> Codes:
    """Arrays of a file, which may be anybody's.

    Raises:
        ValueError: If they are not those of codes.
        KeyError: If one is missing.
    """
    middle, drawn, prior = (numbers(arrays[name], 2) for name in ("middle", "drawn", "prior"))
    n, d = middle.shape
    fits = drawn.shape == (n, d) and prior.shape[1] == d
    if not fits or not (1 <= n <= MOST_ROWS and 1 <= d <= MOST_CODE and 1 <= len(prior) <= MOST_ROWS):
        raise ValueError(f"codes of shapes {middle.shape}, {drawn.shape}, {prior.shape}")
    each = {name: numbers(arrays[name], 1) for name in ("rates", "told", "active")}
    if any(len(x) != d for x in each.values()):
        raise ValueError(f"not {d} numbers for a code of {d}")
    flow = str(arrays["flow"])
    if flow not in FLOWS:
        raise ValueError("no such flow")
    labels, names = _labels(arrays, n)
    return Codes(
        int(numbers(arrays["step"], 0)), middle, drawn, prior, each["rates"], each["told"], each["active"] > 0,
        _account(arrays), flow, str(arrays["unit"]), labels, names, _bound(arrays), _densities(arrays, d),
        _pictures(arrays, d),
    )  # fmt: skip


def _account(arrays: Arrays) -> Account:
    rows, *rest = numbers(arrays["account"], 1, finite=False).tolist()
    if not (1 <= rows <= 1e9):
        raise ValueError(f"an account of {rows} rows")
    if len(rest) not in (7, 8):  # the last number came later
        raise ValueError(f"an account of {len(rest)} numbers")
    return Account(int(rows), *rest)


def _bound(arrays: Arrays) -> Bound | None:
    if "bound" not in arrays:
        return None
    rows, value, error = numbers(arrays["bound"], 1, finite=False).tolist()
    if not (1 <= rows <= 1e9):
        raise ValueError(f"a bound of {rows} rows")
    return Bound(int(rows), value, error, str(arrays["protocol"]))


def _labels(arrays: Arrays, n: int) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    names = tuple(map(str, arrays["names"].reshape(-1)[:MOST_ROWS]))
    if "labels" not in arrays:
        return None, names
    labels = numbers(arrays["labels"], 1)
    if len(labels) != n or ((labels < 0) | (labels >= len(names))).any():
        raise ValueError("classes that are not those of the rows")
    return labels.astype(np.int64), names


def _densities(arrays: Arrays, d: int) -> Densities | None:
    if "across" not in arrays:
        return None
    across, up = numbers(arrays["across"], 1), numbers(arrays["up"], 1)
    found = [numbers(arrays[name], 2) if name in arrays else None for name in ("prior_density", "aggregate_density")]
    risen = all(2 <= len(x) <= MOST_SIDE and (np.diff(x) > 0).all() and np.abs(x).max() < 1e30 for x in (across, up))
    fits = all(x is None or (x.shape == (len(up), len(across)) and 0 <= x.min() <= x.max() < 1e30) for x in found)
    if d != 2 or not risen or not fits:
        raise ValueError("densities that do not fit their plane")
    return Densities(across, up, *found)


def _pictures(arrays: Arrays, d: int) -> Pictures | None:
    if "originals" not in arrays:
        return None
    originals, again, samples = (images(arrays[name]) for name in ("originals", "reconstructions", "samples"))
    ways, walked = images(arrays["traversals"], 2), numbers(arrays["walked"], 1)
    whole = [originals, again, samples, ways[0]]
    if originals.shape != again.shape or len({x.shape[1:] for x in whole}) > 1 or len(ways) != len(walked):
        raise ValueError("pictures that do not fit each other")
    if max(map(len, [*whole, ways])) > MOST_PICTURES or ((walked < 0) | (walked >= d)).any():
        raise ValueError("more pictures than a page shows, or of numbers that a code lacks")
    return Pictures(originals, again, ways, walked.astype(np.int64), samples)
