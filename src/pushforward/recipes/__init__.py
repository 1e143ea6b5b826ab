"""Recipes: a function an experiment. Its signature is the configuration, its body the wiring.

Importing this package is cheap: a recipe loads torch when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pushforward.recipes.few import few_gan, few_particles, few_wgan_gp
from pushforward.recipes.images import gan_images, vgrow_digits, vgrow_images
from pushforward.recipes.latent import digit_to_digit, latent_particles, toy_latent
from pushforward.recipes.toys import toy_gan, toy_particles, toy_vgrow

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = [
    "RECIPES",
    "Recipe",
    "digit_to_digit",
    "few_gan",
    "few_particles",
    "few_wgan_gp",
    "gan_images",
    "latent_particles",
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
        toy_vgrow,
        toy_gan,
        toy_latent,
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
