"""Numbers for samples, each with the floor that real data would score, its error and its protocol.

`evaluate` runs several at once, by the parts of `suite`; each is also a function of its own.
"""

from pushforward.metrics.copying.memorisation import copies, memorisation, nearest_training
from pushforward.metrics.core.features import RAW, Features, of_module
from pushforward.metrics.core.moments import Moments, moments
from pushforward.metrics.core.result import Measure, Report, compare_scores, holm, table, to_json
from pushforward.metrics.evaluate import Metric, evaluate
from pushforward.metrics.gates import Gate, parse_gate
from pushforward.metrics.likelihood.density import bits_per_dim, dilution_loss, likelihood_gap, parzen_log_density
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.quality.class_score import ClassSums, class_score, class_sums
from pushforward.metrics.quality.frechet import frechet, frechet_distance, frechet_floor, frechet_rows
from pushforward.metrics.quality.frechet_limit import frechet_limit
from pushforward.metrics.quality.kid import kid, kid_subsets, polynomial_mmd
from pushforward.metrics.quality.manifold import manifold, null_coverage
from pushforward.metrics.quality.modes import classes, modes
from pushforward.metrics.quality.sinkhorn import sinkhorn, sinkhorn_divergence
from pushforward.metrics.quality.stacked import stack_digits, stacked_modes
from pushforward.metrics.quality.tails import hill, tails
from pushforward.metrics.quality.transport import sliced_w2, sliced_wasserstein, w1, w2, wasserstein, wasserstein_1d
from pushforward.metrics.suite import PARTS, Part
from pushforward.metrics.two_sample.classifier import c2st, c2st_score
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test
from pushforward.metrics.two_sample.kernel import energy_distance, mmd, mmd_squared
from pushforward.metrics.two_sample.sliced_test import sliced_test

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
