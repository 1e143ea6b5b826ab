"""Particles: they obey the velocity themselves."""

from pushforward.methods.particles.driver import Particles

__all__ = ["Particles"]
