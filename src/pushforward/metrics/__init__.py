"""Numbers for samples, each with the floor that real data would score, its error and its protocol.

`evaluate` runs several at once, by the parts of `suite`; each is also a function of its own.
"""

from pushforward.metrics.class_score import ClassSums, class_score, class_sums
from pushforward.metrics.classifier import c2st, c2st_score
from pushforward.metrics.deep_kernel import deep_kernel_test
from pushforward.metrics.digits8 import digits8
from pushforward.metrics.evaluate import Metric, evaluate
from pushforward.metrics.features import RAW, Features, of_module
from pushforward.metrics.frechet import frechet, frechet_distance, frechet_floor, frechet_rows
from pushforward.metrics.frechet_limit import frechet_limit
from pushforward.metrics.gates import Gate, parse_gate
from pushforward.metrics.kernel import energy_distance, mmd, mmd_squared
from pushforward.metrics.kid import kid, kid_subsets, polynomial_mmd
from pushforward.metrics.likelihood import bits_per_dim, dilution_loss, likelihood_gap, parzen_log_density
from pushforward.metrics.manifold import manifold, null_coverage
from pushforward.metrics.memorisation import copies, memorisation, nearest_training
from pushforward.metrics.modes import classes, modes
from pushforward.metrics.moments import Moments, moments
from pushforward.metrics.result import Measure, Report, compare_scores, holm, table, to_json
from pushforward.metrics.sinkhorn import sinkhorn, sinkhorn_divergence
from pushforward.metrics.sliced_test import sliced_test
from pushforward.metrics.stacked import stack_digits, stacked_modes
from pushforward.metrics.suite import PARTS, Part
from pushforward.metrics.tails import hill, tails
from pushforward.metrics.transport import sliced_w2, sliced_wasserstein, w1, w2, wasserstein, wasserstein_1d

__all__ = [
    "PARTS",
    "RAW",
    "ClassSums",
    "Features",
    "Gate",
    "Measure",
    "Metric",
    "Moments",
    "Part",
    "Report",
    "bits_per_dim",
    "c2st",
    "c2st_score",
    "class_score",
    "class_sums",
    "classes",
    "compare_scores",
    "copies",
    "deep_kernel_test",
    "digits8",
    "dilution_loss",
    "energy_distance",
    "evaluate",
    "frechet",
    "frechet_distance",
    "frechet_floor",
    "frechet_limit",
    "frechet_rows",
    "hill",
    "holm",
    "kid",
    "kid_subsets",
    "likelihood_gap",
    "manifold",
    "memorisation",
    "mmd",
    "mmd_squared",
    "modes",
    "moments",
    "nearest_training",
    "null_coverage",
    "of_module",
    "parse_gate",
    "parzen_log_density",
    "polynomial_mmd",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_test",
    "sliced_w2",
    "sliced_wasserstein",
    "stack_digits",
    "stacked_modes",
    "table",
    "tails",
    "to_json",
    "w1",
    "w2",
    "wasserstein",
    "wasserstein_1d",
]
