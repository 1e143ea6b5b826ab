"""What every run is measured by at every mark, whatever its method: cheap, and from fresh samples in data units."""

from __future__ import annotations

from contextlib import suppress

import torch

from pushforward.densities.mixture import Mixture
from pushforward.errors import DataError
from pushforward.metrics.known.modes import modes
from pushforward.metrics.known.shape import mode_shape
from pushforward.randomness import stream
from pushforward.training.asking import samples_of
from pushforward.training.experiment import Experiment

__all__ = ["NAMES", "Score", "scored", "worst"]

Score = dict[str, float | None]
NAMES = ("modes", "high_quality", "mode_kl", "width", "centre")


def scored(experiment: Experiment, n: int, seed: int, mark: int, *, shape: bool) -> Score:
    """Modes with 20 good samples, high quality and mode KL of n samples that no other mark draws.

    Args:
        experiment: What learns.
        n: Samples.
        seed: Seed of the run.
        mark: Number of the mark, from 1 on.
        shape: Whether to measure the modes' width and centres too, which takes some fifteen times as long; None where
            no mode holds enough samples.

    Raises:
        TrainingError: If a sample is not finite.
    """
    mixture = _mixture(experiment)
    assert mixture.sigma is not None
    x = samples_of(experiment, n, stream(seed, "judge", mark, part="stability"))
    x = torch.as_tensor(experiment.data.decode(x))
    found = modes(x, mixture.means, mixture.sigma, mixture.weights)
    if shape:
        with suppress(DataError):  # no mode holds enough samples
            found |= mode_shape(x, mixture.means, mixture.sigma, mixture.weights)
    return {
        "modes": found["modes_captured_20"].value,
        "high_quality": found["high_quality"].value,
        "mode_kl": found["mode_kl"].value,
        "width": found["mode_width"].value if "mode_width" in found else None,
        "centre": found["mode_centre"].value if "mode_centre" in found else None,
    }


def worst(experiment: Experiment) -> Score:
    """What a run that broke off scores from then on: no mode, nothing good, and the largest KL that there is."""
    return dict.fromkeys(NAMES) | {
        "modes": 0.0,
        "high_quality": 0.0,
        "mode_kl": -float(_mixture(experiment).weights.min().log()),
    }


def _mixture(experiment: Experiment) -> Mixture:
    assert experiment.data.mixture is not None
    return experiment.data.mixture
