"""Recipes: a function an experiment. Its signature is the configuration, its body the wiring.

Importing this package is cheap: a recipe loads torch when it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, cast

from pushforward import guests
from pushforward.errors import UsageError
from pushforward.recipes.checks import recipe
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
    "known",
    "latent_particles",
    "locate",
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


def known(name: object) -> bool:
    """Whether a word names a recipe of this package, or has the form of a guest's name."""
    return (isinstance(name, str) and name in RECIPES) or guests.is_guest(name)


def locate(name: str, trust: Sequence[str] = (), who: str = "recipe") -> Recipe:
    """Find a recipe by name: one of `RECIPES`, or `package.module:NAME`, a function of options of the user's own.

    Args:
        name: What to look for.
        trust: Guests that the user named.
        who: Who asks, for the message to one that the user did not name.

    Raises:
        UsageError: If there is no such recipe, or it is a guest that the user did not name, or no such function.
    """
    if name in RECIPES:
        return RECIPES[name]
    if ":" not in name:
        raise UsageError(f"recipe {name!r}: use one of {', '.join(RECIPES)}, or package.module:NAME")
    if guests.is_guest(name):
        guests.admit(name, trust, who)
    found = guests.load(name, "recipe")
    if not callable(found) or isinstance(found, type):
        raise guests.refused(name, "recipe", found, "a function of options that returns an Experiment")
    for option in inspect.signature(found).parameters.values():
        if option.kind not in (option.KEYWORD_ONLY, option.POSITIONAL_OR_KEYWORD):
            raise UsageError(f"recipe {name!r}: {option} is no option; give every parameter a name of its own")
        if option.annotation is option.empty and option.default is option.empty:
            raise UsageError(f"recipe {name!r}: {option} has neither a type nor a default; give it one")
    grouped = any(is_dataclass(option.default) for option in inspect.signature(found).parameters.values())
    return recipe(cast(Recipe, found)) if grouped else cast(Recipe, found)
