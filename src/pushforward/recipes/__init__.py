"""Recipes: a function an experiment. Its signature is the configuration, its body the wiring.

Importing this package is cheap: a recipe loads torch when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pushforward.recipes.few import few_gan, few_particles, few_wgan_gp
from pushforward.recipes.images import gan_images, vgrow_digits, vgrow_images
from pushforward.recipes.latent import digit_to_digit, latent_particles, toy_latent
from pushforward.recipes.particles import four_modes, gaussian_particles, sierpinski, swiss_roll, toy_particles
from pushforward.recipes.peers import flow_particles
from pushforward.recipes.tails import heavy_tails
from pushforward.recipes.toys import toy_gan, toy_vgrow

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = [
    "RECIPES",
    "Recipe",
    "digit_to_digit",
    "few_gan",
    "few_particles",
    "few_wgan_gp",
    "flow_particles",
    "four_modes",
    "gan_images",
    "gaussian_particles",
    "heavy_tails",
    "latent_particles",
    "sierpinski",
    "swiss_roll",
    "toy_gan",
    "toy_latent",
    "toy_particles",
    "toy_vgrow",
    "vgrow_digits",
    "vgrow_images",
]

Recipe = Callable[..., "Experiment"]

RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        toy_particles,
        gaussian_particles,
        four_modes,
        swiss_roll,
        sierpinski,
        flow_particles,
        toy_vgrow,
        toy_gan,
        toy_latent,
        heavy_tails,
        vgrow_digits,
        vgrow_images,
        gan_images,
        latent_particles,
        digit_to_digit,
        few_particles,
        few_gan,
        few_wgan_gp,
    )
}
