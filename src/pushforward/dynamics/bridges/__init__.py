"""Schrödinger bridges whose law is known: between normal laws, and from a point to any mixture of them."""

from pushforward.dynamics.bridges.follmer import MixtureFollmer
from pushforward.dynamics.bridges.forms import DenoiserDrift, RatioDrift
from pushforward.dynamics.bridges.gaussian import GaussianBridge

__all__ = ["DenoiserDrift", "GaussianBridge", "MixtureFollmer", "RatioDrift"]
