"""Fitted estimators in one safetensors file: tensors, and a JSON header with what they mean. Nothing in it can run.

The header carries a digest of everything else in the file; a file that does not match it is refused.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as pack
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from pushforward import files
from pushforward.divergences import Divergence, locate, names
from pushforward.errors import DataError, UsageError, of_memory
from pushforward.estimators.columns import Columns
from pushforward.settings.hints import alternatives
from pushforward.training.checkpoint import digest_of

__all__ = ["fill", "found", "legible", "load", "made", "name_of", "number", "told", "write"]

Plain = bool | int | float | str | None
KNOWN = tuple(torch.from_numpy(np.zeros(1, kind)).dtype for kind in "dfeqihbB?")  # types that numpy has too
Kind = TypeVar("Kind", bound=BaseEstimator)
Made = TypeVar("Made")


class Fitted(Protocol):
    """What every estimator of the house knows once it is fitted."""

    n_features_in_: int
    columns_: Columns | None
    notes_: tuple[str, ...]

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...


def write(path: str | os.PathLike[str], estimator: Fitted, learned: dict[str, Any],
          tensors: dict[str, Tensor]) -> None:  # fmt: skip
    """Write an estimator, replacing a file that may be there in one step.

    Args:
        path: The file, for example moons.safetensors; folders that are missing are made.
        estimator: Its class and parameters are stored; a `RandomState` is stored as None.
        learned: JSON-able things that fit found out.
        tensors: Learned tensors by name.
    """
    params = {key: _plain(value) for key, value in estimator.get_params(deep=False).items()}
    columns = vars(estimator).get("feature_names_in_")  # of scikit-learn, and there only where all names are text
    run = {
        "format": 2,
        "estimator": type(estimator).__name__,
        "params": params,
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if columns is None else [str(name) for name in columns],
        "columns": None if estimator.columns_ is None else estimator.columns_.packed(),
        "notes": list(estimator.notes_),
        "learned": learned,
    }
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"run": json.dumps(run, sort_keys=True), "resume": ""}
    header["digest"] = digest_of(tensors, header)
    files.write(path, pack(tensors, header), parents=True)


@contextmanager
def legible(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within: what code raises over words and tensors of a file that do not fit together says so.

    Kinds of values are checked before, by `told` and `made`; a full memory is no fault of the file.

    Raises:
        DataError: In their place.
    """
    try:
        yield
    except (DataError, UsageError):
        raise
    except (ValueError, LookupError, RecursionError) as error:  # the last of what is nested too deeply
        if of_memory(error):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise DataError(f"{path}: what it holds makes no estimator ({said}); save it again") from error


def told(values: object, **kinds: Any) -> dict[str, Any]:
    """Values of a file by their names, each of the kind that its word says; others are let through.

    Args:
        values: What the file holds.
        kinds: A type, a union of types or a `Literal`, for each name.

    Raises:
        ValueError: If they are no object, one is missing, or of another kind; whole numbers count something.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{values!r:.40} where names and values should be")
    for name, kind in kinds.items():
        if name not in values:
            raise ValueError(f"no {name}")
        if not any(_is(values[name], one) for one in alternatives(kind)):
            raise ValueError(f"{name} is {values[name]!r:.40}")
    return values


def made(kind: type[Made], values: object) -> Made:
    """A dataclass of plain values, of the kinds that its fields have; sequences of numbers become tuples.

    Raises:
        ValueError: If they are no object, or one is unknown, missing or of another kind.
    """
    hints = get_type_hints(kind)
    needed = [one.name for one in inspect.signature(kind).parameters.values() if one.default is inspect.Parameter.empty]
    found = told(values, **{name: hints[name] for name in needed})
    if strange := found.keys() - hints.keys():
        raise ValueError(f"{min(map(str, strange))!r:.40} is none of {kind.__name__}")
    found = told(found, **{name: hints[name] for name in found})
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})


def _is(value: object, kind: Any) -> bool:
    """Whether a value of a file is of a kind; objects and functions cannot stand in one."""
    if get_origin(kind) is Literal:
        return type(value) is str and value in get_args(kind)
    if get_origin(kind) in (list, tuple):
        return isinstance(value, list) and all(_is(one, get_args(kind)[0]) for one in value)
    if kind is float:
        return (isinstance(value, float) and value == value) or (type(value) is int and abs(value) < 2**53)
    if kind is int:
        return type(value) is int and 0 <= value < 2**31
    return value is None if kind in (None, type(None)) else kind in (bool, str, list, dict) and type(value) is kind


def _given(params: object, kind: type[BaseEstimator]) -> dict[str, Any]:
    """Parameters of an estimator, which stores them as they were given: a whole number may stand for a truth value.

    Raises:
        ValueError: If one cannot be what the estimator's parameter is.
    """
    hints, params = get_type_hints(kind.__init__), told(params)
    for name, value in params.items():
        kinds = alternatives(hints.get(name, str))
        number = isinstance(value, int) and any(one in (int, float, bool) for one in kinds)
        if not (number or any(_is(value, one) for one in kinds)):
            raise ValueError(f"{name} is {value!r:.40}")
    return params


def load(path: str | os.PathLike[str], kind: type[Kind],
         divergence: str | Divergence | None = None) -> tuple[Kind, dict[str, Any], dict[str, Tensor]]:  # fmt: skip
    """Read and verify a file, and build the estimator that it holds; what `fit` learned is left to the caller.

    Args:
        path: The file.
        kind: The class that is to be restored.
        divergence: Takes the place of the stored one; needed where that lives outside this package. Estimators that
            lower none have none.

    Returns:
        The estimator with its parameters and columns, what fit found out, with the file's `format`, and the tensors.

    Raises:
        DataError: If the file is missing, damaged, of another class, or names a divergence from outside.
        ValueError: If what it says is of other kinds than what `write` writes; see `legible`.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: not a readable estimator (no plain file); name the file that save wrote")
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable estimator ({' '.join(str(error).split())}); save it again") from error
    claimed = header.pop("digest", None)
    if header.keys() != {"run", "resume"} or claimed != digest_of(tensors, header):
        raise DataError(f"{path}: the contents do not match their digest, so nothing was loaded; save it again")
    if strange := [name for name, tensor in tensors.items() if tensor.dtype not in KNOWN]:
        raise ValueError(f"{min(strange)!r:.40} is of {tensors[min(strange)].dtype}, which numpy has not")
    kinds = {"params": dict, "n_features_in": int, "feature_names_in": list[str] | None, "learned": dict}
    run = told(json.loads(header["run"]), **kinds)
    if run.get("estimator") != kind.__name__:
        raise DataError(f"{path}: holds a {run.get('estimator', 'training checkpoint')}, not a {kind.__name__}")
    params = _given(run["params"], kind)
    known = inspect.signature(kind).parameters.keys()
    if strange := params.keys() - known:
        raise DataError(f"{path}: {kind.__name__} has no parameter {min(strange)!r}; update pushforward")
    if "divergence" in known:
        params["divergence"] = found(path, params["divergence"], divergence)
    estimator = kind(**params)
    setattr(estimator, "n_features_in_", run["n_features_in"])  # noqa: B010
    if run["feature_names_in"] is not None:
        setattr(estimator, "feature_names_in_", np.array(run["feature_names_in"], dtype=object))  # noqa: B010
    columns = run.get("columns")
    if columns is not None:
        columns = {"levels": [None]} | told(columns, names=list, types=list[str])
        told(columns, levels=list)
    setattr(estimator, "columns_", Columns.unpacked(columns))  # noqa: B010
    setattr(estimator, "notes_", tuple(told({"notes": []} | run, notes=list[str])["notes"]))  # noqa: B010
    return estimator, run["learned"] | {"format": run.get("format", 1)}, tensors


def fill(net: nn.Module, tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> nn.Module:
    """Give a net built on the meta device, which holds no memory, the tensors of a file.

    Raises:
        DataError: If they do not fit.
    """
    try:
        net.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        if of_memory(error):
            raise
        raise DataError(f"{path}: tensors and parameters disagree ({' '.join(str(error).split())})") from error
    return net.requires_grad_(False).eval()


def number(value: float) -> float | None:
    """A number as JSON can hold it: None for infinity."""
    return float(value) if np.isfinite(value) else None


def _plain(value: object) -> Plain:
    if isinstance(value, np.random.RandomState):
        return None
    if isinstance(value, Divergence):
        return name_of(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Plain):
        return value
    raise DataError(f"parameter {value!r} is a {type(value).__name__} and cannot be written as JSON")


def name_of(divergence: str | Divergence) -> str:
    """How a file calls a divergence: by the name this package finds it under, else marked as from outside."""
    if isinstance(divergence, str):
        return divergence
    for name in (*names(), divergence.name):
        try:
            if locate(name, outside=False) == divergence:
                return name
        except UsageError:
            continue
    return f"outside:{divergence.name}"


def found(path: str | os.PathLike[str], stored: str, given: str | Divergence | None) -> str | Divergence:
    """The divergence given by the caller, or else the stored one if it names nothing outside this package."""
    if given is None and ":" in stored:
        raise DataError(f"{path}: its divergence {stored!r} lives outside this package, and a file must not make us "
                        "import code: give it yourself, load(path, divergence=...)")  # fmt: skip
    return stored if given is None else given
