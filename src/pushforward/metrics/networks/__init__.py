"""Feature spaces: networks of the package, Inception from its published weights, your own networks, and baselines."""

from pushforward.metrics.core.scale import fit_scale
from pushforward.metrics.networks.baselines import pca, pixels, random_features, scaled, scaled_by, whitened
from pushforward.metrics.networks.cifar import cifar_resnet
from pushforward.metrics.networks.inception import inception, is_true_inception
from pushforward.metrics.networks.lenet import fashion_lenet, lenet, mnist_lenet
from pushforward.metrics.networks.loading import load_network

__all__ = [
    "cifar_resnet",
    "fashion_lenet",
    "fit_scale",
    "inception",
    "is_true_inception",
    "lenet",
    "load_network",
    "mnist_lenet",
    "pca",
    "pixels",
    "random_features",
    "scaled",
    "scaled_by",
    "whitened",
]
