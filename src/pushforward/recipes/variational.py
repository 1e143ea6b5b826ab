"""Recipes of variational autoencoders: digits, black and white or grey images, by any prior and posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Examples, Loop, Rows
from pushforward.settings.variational import Autoencoding, Codes

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["vae_digits", "vae_images", "vae_mnist"]


@recipe
def vae_digits(
    *, loop: Loop = Loop(6_000, 192), model: Autoencoding = Autoencoding(levels=17, codes=Codes(prior="maf"))
) -> Experiment:
    """A variational autoencoder on scikit-learn's handwritten digits, 17 levels a pixel. Expect digits in a minute."""
    from pushforward.metrics.networks.digits8 import digits8
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import vae_of

    digits = wiring.load(Rows("digits"), seed=loop.seed)
    return wiring.experiment(vae_of(digits, model, loop), digits, loop, features=digits8(), threads=1)


@recipe
def vae_mnist(
    *,
    examples: Examples = Examples(),
    binarise: Literal["threshold", "dynamic"] = "threshold",
    loop: Loop = Loop(20_000, 128),
    model: Autoencoding = Autoencoding("bernoulli", codes=Codes(32, "maf")),
) -> Experiment:
    """A variational autoencoder of images in black and white, as MNIST is compared by likelihoods.

    Args:
        data: MNIST as PATH[:key], or other images; digits are there to try it.
        binarise: threshold, every pixel above the middle is white; or dynamic, white with the chance of its intensity,
            drawn anew in every batch, and once where held out. Likelihoods of one and the other do not compare, nor
            with those of the set that was drawn once and published.
    """
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import binarised, vae_of

    data = binarised(wiring.load_images(examples, loop.seed), binarise, loop.seed)
    return wiring.of_images(vae_of(data, model, loop, binarise), data, loop, examples, threads=1)


@recipe
def vae_images(
    *,
    examples: Examples = Examples(),
    loop: Loop = Loop(10_000, 128),
    model: Autoencoding = Autoencoding("mixture", net="convolutional", codes=Codes(32, "maf")),
) -> Experiment:
    """A variational autoencoder of grey or coloured images, whose pixels keep their levels.

    Args:
        data: Images as PATH[:key], or their folder; digits are there to try it, with 17 levels.
    """
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import vae_of

    data = wiring.load_images(examples, loop.seed)
    return wiring.of_images(vae_of(data, model, loop), data, loop, examples, threads=1)
