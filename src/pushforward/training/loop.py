"""The loop: steps of a method as numbers, checked, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from pushforward.errors import TrainingError
from pushforward.training.experiment import Experiment
from pushforward.types import Logs

__all__ = ["REMEDIES", "checked", "train"]

REMEDIES = {
    "critic": "lower the critic's learning rate, or add a gradient penalty",
    "penalty": "lower the penalty's weight or the critic's learning rate",
    "regression": "lower step, or cap the weights lower",
    "generator": "lower the generator's learning rate, or cap the weights lower",
    "speed": "lower step, cap the weights lower, or use a bounded divergence (JS, LOGD, KL)",
    "weight": "cap the weights lower, or use a bounded divergence (JS, LOGD, KL)",
}


def train(experiment: Experiment, start: int = 0) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (step, numbers) for each step after `start`, to the experiment's last or until the method ends.

    Raises:
        TrainingError: If a number is not finite: names the step, the term and a remedy.
    """
    steps = experiment.method.learn(experiment.batches, start)
    for step, logs in zip(range(start + 1, experiment.steps + 1), steps):
        yield step, checked(logs, step)


def checked(logs: Logs, step: int) -> dict[str, float]:
    """A step's numbers, fetched in one synchronisation.

    Raises:
        TrainingError: If one is not finite: names the step, the term and a remedy.
    """
    values = torch.stack([value.detach().float() for value in logs.values()]).tolist()
    numbers = dict(zip(logs, values, strict=True))
    for term, value in numbers.items():
        if not math.isfinite(value):
            raise TrainingError(f"step {step}: {term} is {value}; {REMEDIES.get(term, 'lower the learning rates')}")
    return numbers
