"""Numbers for samples, each with the floor that real data would score, its error and its protocol."""

from pushforward.metrics.digits8 import digits8
from pushforward.metrics.evaluate import Metric, evaluate
from pushforward.metrics.features import RAW, Features, of_module
from pushforward.metrics.frechet import Moments, frechet, frechet_distance, frechet_floor, moments
from pushforward.metrics.kernel import mmd, mmd_squared
from pushforward.metrics.modes import classes, modes
from pushforward.metrics.result import Measure, table, to_json
from pushforward.metrics.transport import sliced_w2, sliced_wasserstein, w2, wasserstein, wasserstein_1d

__all__ = [
    "RAW",
    "Features",
    "Measure",
    "Metric",
    "Moments",
    "classes",
    "digits8",
    "evaluate",
    "frechet",
    "frechet_distance",
    "frechet_floor",
    "mmd",
    "mmd_squared",
    "modes",
    "moments",
    "of_module",
    "sliced_w2",
    "sliced_wasserstein",
    "table",
    "to_json",
    "w2",
    "wasserstein",
    "wasserstein_1d",
]
