"""Recipes of variational autoencoders: points, images, counts, by any prior and posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Loop, Rows
from pushforward.settings.variational import Autoencoding, Bounding, CodeLaws, Counted, Encoded, Learned

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["vae_counts", "vae_digits", "vae_fashion", "vae_images", "vae_latent", "vae_mnist", "vae_toy"]

CONVOLVED = Autoencoding("mixture", net="convolutional", codes=CodeLaws(32, "maf"))


@recipe
def vae_digits(
    *, loop: Loop = Loop(6_000, 192), model: Autoencoding = Autoencoding(codes=CodeLaws(prior="maf"))
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
    images: Encoded = Encoded(Loop(20_000, 128), Autoencoding("bernoulli", codes=CodeLaws(32, "maf"))),
    binarise: Literal["threshold", "dynamic"] = "threshold",
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

    loop, examples = images.loop, images.examples
    data = binarised(wiring.load_images(examples, loop.seed), binarise, loop.seed)
    return wiring.of_images(vae_of(data, images.model, loop, binarise), data, loop, examples, threads=1)


@recipe
def vae_images(*, images: Encoded = Encoded(model=CONVOLVED)) -> Experiment:
    """A variational autoencoder of grey or coloured images, whose pixels keep their levels.

    Args:
        data: Images as PATH[:key], or their folder; digits are there to try it, with 17 levels.
    """
    return _of_levels(images)


@recipe
def vae_fashion(
    *,
    images: Encoded = Encoded(Loop(8_000, 128), CONVOLVED),
) -> Experiment:
    """A variational autoencoder of Fashion-MNIST at its 256 levels of grey, whose likelihoods are in bits a pixel.

    Args:
        data: Fashion-MNIST as PATH[:key]; digits are there to try it.
    """
    return _of_levels(images)


def _of_levels(images: Encoded) -> Experiment:
    """A variational autoencoder of images as they are."""
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import vae_of

    data = wiring.load_images(images.examples, images.loop.seed)
    method = vae_of(data, images.model, images.loop)
    return wiring.of_images(method, data, images.loop, images.examples, threads=1)


@recipe
def vae_counts(*, counts: Counted = Counted()) -> Experiment:
    """A variational autoencoder of counts, as of molecules in cells: negative binomial numbers about shares of a row.

    A row is modelled given its sum: its likelihood is that of how a sum so large falls on the columns, give or take.
    Sums of rows that are made are drawn from those of training rows.
    """
    from dataclasses import replace

    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import score_on_shares, vae_of_counts

    loop, conditional = counts.loop, counts.classes.conditional
    data = wiring.load(counts.rows, counts.classes, loop.seed, kind="points", scaling="counts")
    found = wiring.experiment(vae_of_counts(data, counts), data, loop, conditional=conditional, threads=1)
    return found if data.hollow else replace(found, score=score_on_shares(data, loop.seed))


@recipe
def vae_latent(
    *, images: Encoded = Encoded(Loop(6_000, 128), Autoencoding("mixture")), prior: Learned = Learned()
) -> Experiment:
    """A variational autoencoder whose prior another method learns: the law of the codes that data have.

    The bound loses KL(aggregated posterior, prior) nats to a prior of one's choice; what learns the aggregated
    posterior itself loses what it fails to learn.

    Args:
        data: Images as PATH[:key], their folder, or digits.
        steps: Steps of the autoencoder.
    """
    from dataclasses import replace

    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.methods.latent.vae import FromPosterior, VAESampling
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.priors import learned_prior
    from pushforward.recipes.parts.variational import vae_of

    loop, examples = images.loop, images.examples
    data = wiring.load_images(examples, loop.seed)
    vae = vae_of(data, images.model, loop)
    vae.sampling = VAESampling(prior.output)
    codec = FromPosterior(vae, stream(loop.seed, "train", part="posterior"))
    learned = learned_prior(images.model.codes.code, prior, loop)
    method = InCodeSpace(codec, learned, loop.steps, project=vae.project)
    return wiring.of_images(method, data, replace(loop, steps=loop.steps + prior.prior_steps), examples, threads=1)


@recipe
def vae_toy(
    *,
    rows: Rows = Rows("toy:moons"),
    loop: Loop = Loop(4_000, 256),
    model: Autoencoding = Autoencoding(
        "normal", width=128, rate=4e-3, codes=CodeLaws(2, "maf", flow_width=64), bounding=Bounding(warmup=1_000)
    ),
) -> Experiment:
    """A variational autoencoder of points, whose codes and their prior can be seen in a plane. Expect half a minute.

    The width of p(x|z) is learned, one for each column, so that bounds are of densities in data units. At first it is
    as wide as the data, where a code that tells nothing is next to no loss: beta rises, so that codes come first.
    """
    from pushforward.recipes.parts import wiring
    from pushforward.recipes.parts.variational import vae_of, with_note

    points = with_note(wiring.load(rows, seed=loop.seed, kind="points"))
    return wiring.experiment(vae_of(points, model, loop), points, loop, threads=1)
