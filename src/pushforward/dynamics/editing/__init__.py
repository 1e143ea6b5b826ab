"""Editing by a denoiser: what is missing is filled in, and two samples are joined by a path of others."""

from pushforward.dynamics.editing.covering import coverage, nominal
from pushforward.dynamics.editing.exact import conditional_mixture
from pushforward.dynamics.editing.interpolation import PATHS, Path, interpolate
from pushforward.dynamics.editing.projection import SIDES, LinearProjection, Projection, RowMasks, Side
from pushforward.dynamics.editing.restoring import restore
from pushforward.dynamics.editing.strategies import Fixed, Fresh, Guidance, Resample, Strategy, Task, strategy

__all__ = [
    "PATHS",
    "SIDES",
    "Fixed",
    "Fresh",
    "Guidance",
    "LinearProjection",
    "Path",
    "Projection",
    "Resample",
    "RowMasks",
    "Side",
    "Strategy",
    "Task",
    "conditional_mixture",
    "coverage",
    "interpolate",
    "nominal",
    "restore",
    "strategy",
]
