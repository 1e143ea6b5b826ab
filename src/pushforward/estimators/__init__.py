"""The face: models, densities and moving clouds as scikit-learn estimators, fit / sample / transport / save / load."""

from pushforward.estimators.bridges.sampler import BridgeSampler
from pushforward.estimators.density import FlowDensityEstimator
from pushforward.estimators.generator import FlowGenerator
from pushforward.estimators.latent import LatentFlow
from pushforward.estimators.particles import ParticleFlow
from pushforward.estimators.variational.vae import FlowVAE

__all__ = ["BridgeSampler", "FlowDensityEstimator", "FlowGenerator", "FlowVAE", "LatentFlow", "ParticleFlow"]
