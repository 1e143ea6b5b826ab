"""Generate and move data by gradient flow: a critic gives a velocity, and particles or generators obey it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "BridgeSampler",
    "FlowDensityEstimator",
    "FlowGenerator",
    "FlowVAE",
    "LatentFlow",
    "ParticleFlow",
    "__version__",
    "evaluate",
    "load_generator",
    "merge",
]

if TYPE_CHECKING:
    from pushforward.estimators import (
        BridgeSampler,
        FlowDensityEstimator,
        FlowGenerator,
        FlowVAE,
        LatentFlow,
        ParticleFlow,
    )
    from pushforward.evaluation import evaluate
    from pushforward.exporting.loading import load_generator
    from pushforward.merging import merge

_HOMES = {
    "BridgeSampler": "pushforward.estimators",
    "FlowDensityEstimator": "pushforward.estimators",
    "FlowGenerator": "pushforward.estimators",
    "FlowVAE": "pushforward.estimators",
    "LatentFlow": "pushforward.estimators",
    "ParticleFlow": "pushforward.estimators",
    "evaluate": "pushforward.evaluation",
    "load_generator": "pushforward.exporting.loading",
    "merge": "pushforward.merging",
}


def __getattr__(name: str) -> Any:
    """Load a name of the face, and with it torch, only when somebody asks for it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pushforward' has no attribute {name!r}")
