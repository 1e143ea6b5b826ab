"""The loop: steps of a method as numbers, checked, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from pushforward.errors import TrainingError
from pushforward.terms import TERMS, Term
from pushforward.training.experiment import Experiment
from pushforward.training.facts import terms_of
from pushforward.types import Logs

__all__ = ["checked", "train"]

UNKNOWN = Term("", "")  # of a number that nobody explains, for its remedy


def train(experiment: Experiment, start: int = 0) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, numbers) for each step after `start`, to the experiment's last or until the method ends.

    Raises:
        TrainingError: If a number is not finite: names the step, the term and a remedy.
    """
    steps, terms = experiment.method.learn(experiment.batches, start), terms_of(experiment.method)
    for step, logs in zip(range(start + 1, experiment.steps + 1), steps):
        yield step, checked(logs, step, terms)


def checked(logs: Logs, step: int, terms: Mapping[str, Term] = TERMS) -> dict[str, float]:
    """A step's numbers, fetched in one synchronisation.

    Args:
        logs: The numbers.
        step: The step's number.
        terms: What is known of them.

    Raises:
        TrainingError: If one is not finite: names the step, the term and a remedy.
    """
    if not logs:
        return {}
    values = torch.stack([value.detach().float() for value in logs.values()]).tolist()
    numbers = dict(zip(logs, values, strict=True))
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise TrainingError(f"step {step}: {name} is {value}; {terms.get(name, UNKNOWN).remedy}")
    return numbers
