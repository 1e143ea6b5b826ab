"""Codecs: samples to codes and back, fitted (PCA) or learned (autoencoders), and what the way through codes costs."""

from pushforward.codecs.autoencoder import Autoencoder, bernoulli, squared
from pushforward.codecs.codec import Codec, parse
from pushforward.codecs.pca import PCA
from pushforward.codecs.processing import DataProcessing, certified, data_processing, reconstruction

__all__ = [
    "PCA",
    "Autoencoder",
    "Codec",
    "DataProcessing",
    "bernoulli",
    "certified",
    "data_processing",
    "parse",
    "reconstruction",
    "squared",
]
