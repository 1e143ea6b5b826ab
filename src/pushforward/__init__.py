"""Generate and move data by gradient flow: a critic gives a velocity, and particles or generators obey it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["FlowGenerator", "ParticleFlow", "__version__"]

if TYPE_CHECKING:
    from pushforward.estimators import FlowGenerator, ParticleFlow


def __getattr__(name: str) -> Any:
    """Load the estimators, and with them torch, only when somebody asks for one."""
    if name in ("FlowGenerator", "ParticleFlow"):
        return getattr(import_module("pushforward.estimators"), name)
    raise AttributeError(f"module 'pushforward' has no attribute {name!r}")
