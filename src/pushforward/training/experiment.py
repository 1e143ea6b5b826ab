"""An experiment: all the parts of a run, as a recipe returns them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pushforward.data.dataset import Dataset
from pushforward.metrics.core.features import Features
from pushforward.types import Batch, Method

__all__ = ["Experiment", "Stream"]


class Stream(Protocol):
    """Endless batches that know their position."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def state_dict(self) -> dict[str, int]: ...
    def load_state_dict(self, state: dict[str, int]) -> None: ...


@dataclass
class Experiment:
    """The wiring of one run.

    Attributes:
        method: What learns.
        batches: What it learns from.
        data: The data set, with the held-out part that it is judged by.
        steps: Steps of a full run.
        features: Network whose features images are compared in; None compares raw samples.
        score: Samples in model units -> number, lower is better; picks the best checkpoint. It must not look at the
            held-out data.
        conditional: Whether the nets take labels.
        threads: Threads that pay for nets of this size; 0 for all cores.
        modes: Samples in model units -> (known modes seen in them, modes to be seen in so many samples); None where
            none are known. See `pushforward.metrics.known.seen`.
        seed: Of what its nets draw by themselves while they learn, as their dropout.
    """

    method: Method
    batches: Stream
    data: Dataset
    steps: int
    features: Features | None = None
    score: Callable[[Tensor], float] | None = None
    conditional: bool = False
    threads: int = 0
    modes: Callable[[Tensor], tuple[int, int]] | None = None
    seed: int = 0
