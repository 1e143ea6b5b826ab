"""The loop: steps of a method as numbers, checked, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import NotFinite, TrainingError
from pushforward.randomness import seeded
from pushforward.terms import TERMS, Term
from pushforward.training.experiment import Experiment
from pushforward.training.facts import terms_of

__all__ = ["checked", "train"]

UNKNOWN = Term("", "")  # of a number that nobody explains, for its remedy
END: Mapping[str, object] = {}  # of a method that has no further step


def train(experiment: Experiment, start: int = 0, rank: int = 0) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, numbers) for each step after `start`, to the experiment's last or until the method ends.

    What nets draw from torch's own generators, as their dropout, is in each step a stream of the experiment's seed, the
    step and the process: a run that was stopped draws what it would have drawn.

    Raises:
        TrainingError: If a number is not finite: names the step, the term and a remedy.
    """
    steps, terms = experiment.method.learn(experiment.batches, start), terms_of(experiment.method)
    for step in range(start + 1, experiment.steps + 1):
        with seeded(experiment.seed, f"nets of process {rank}", "train", step):
            logs = next(steps, END)
        if logs is END:
            return
        yield step, checked(logs, step, terms)


def checked(logs: Mapping[str, object] | None, step: int, terms: Mapping[str, Term] = TERMS) -> dict[str, float]:
    """A step's numbers, those of tensors on one device fetched in one synchronisation.

    Args:
        logs: The numbers: tensors of no axes, numbers of Python or scalars of numpy; None for none.
        step: The step's number.
        terms: What is known of them.

    Raises:
        TrainingError: If one is not finite, or is no number: names the step, the term and a remedy.
    """
    if not isinstance(logs, Mapping):
        if logs is None:
            return {}
        raise TrainingError(f"step {step}: the method yielded a {type(logs).__name__}; yield a dictionary of numbers")
    tensors = {name: _scalar(name, value, step) for name, value in logs.items() if isinstance(value, Tensor)}
    if len({value.device for value in tensors.values()}) > 1:
        tensors = {name: value.cpu() for name, value in tensors.items()}
    fetched = dict(zip(tensors, torch.stack(list(tensors.values())).tolist())) if tensors else {}
    numbers = {name: fetched[name] if name in fetched else _number(name, value, step) for name, value in logs.items()}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise NotFinite(f"step {step}: {name} is {value}", terms.get(name, UNKNOWN).remedy)
    return numbers


def _scalar(name: str, value: Tensor, step: int) -> Tensor:
    """A tensor of no axes as a float where it lies."""
    if value.dim() or value.is_complex():
        kind = "complex tensor" if value.is_complex() else "tensor"
        raise _no_number(name, f"a {kind} of shape {tuple(value.shape)}", step)
    return value.detach().float()


def _number(name: str, value: object, step: int) -> float:
    """A number that is at hand already."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if not isinstance(value, int | float | np.bool_ | np.integer | np.floating):
        shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
        raise _no_number(name, f"a {type(value).__name__}{shape}", step)
    return float(value)


def _no_number(name: str, found: str, step: int) -> TrainingError:
    return TrainingError(
        f"step {step}: {name} is {found}, not a number; yield a tensor of no axes, as by .mean(), or a Python number"
    )
