"""Recipes for points: two-dimensional toys and tables of a few columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["toy_gan", "toy_vgrow"]


@recipe
def toy_vgrow(
    *,
    data: str = "toy:ring8",
    labels: str | None = None,
    conditional: bool = False,
    limit: int | None = None,
    test_fraction: float | None = None,
    divergence: str = "KL",
    contrast: Literal["logistic", "dual"] = "logistic",
    steps: int = 12_000,
    batch: int = 192,
    latent: int = 2,
    width: int = 128,
    depth: int = 3,
    rate: float = 1e-3,
    penalty: float = 0.05,
    penalty_end: float = 1e-3,
    pool: int = 1,
    moves: int = 1,
    fits: int = 1,
    step: float = 1.0,
    cap: float = 100.0,
    ema: float = 0.999,
    seed: int = 0,
) -> Experiment:
    """VGrow on points. Expect every mode of ring8 and grid25, with the right weights, in about half a minute.

    The critic carries a zero-centred gradient penalty on data and samples that dies away, and both learning rates fall
    to zero along a cosine: early the penalty finds the modes, late its absence sharpens them.

    Args:
        data: digits, toy:NAME or PATH[:key].
        labels: Name of an array or column with classes.
        conditional: Learn one law for each class.
        limit: Use at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
        divergence: KL, REVERSE_KL, JS, LOGD, JEFFREYS, PEARSON, NEYMAN, HELLINGER, alpha(A) or package.module:NAME.
        contrast: The critic's loss: logistic regression, or the f-GAN dual of the divergence.
        steps: Steps of training.
        batch: Rows of data, and samples, in a step.
        latent: Size of z.
        width: Units of a hidden layer.
        depth: Hidden layers.
        rate: Learning rate of generator and critic at the start.
        penalty: Weight of the penalty at the start.
        penalty_end: What is left of that weight at the end, as a factor.
        pool: Particles in a pool, as a multiple of the batch.
        moves: Moves of the pool for one step.
        fits: Passes of the regression over the pool for one step.
        step: Length of a move, in standardised data units per unit velocity.
        cap: Largest weight of a sample.
        ema: Decay of the generator's running average.
        seed: Seed of the split, the nets, the batches and the latents.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.vgrow import VGrow
    from pushforward.methods.sources import Normal
    from pushforward.nets import mlp
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine, geometric

    psi = locate(divergence)
    points = wiring.load(data, labels, conditional, seed, limit=limit, test_fraction=test_fraction)
    classes, updates = points.n_classes if conditional else 0, steps * moves
    with seeded(seed):
        generator = Learner(
            mlp.generator(latent, points.event, width=width, depth=depth, classes=classes),
            wiring.adam(rate),
            ema=ema,
            schedule=cosine(steps * pool * fits),
        )
        critic = Learner(
            mlp.critic(points.event, width=width, depth=depth, classes=classes, activation=wiring.leaky),
            wiring.adam(rate),
            schedule=cosine(updates),
        )
    flow = CriticFlow(
        critic,
        psi,
        wiring.contrast_of(contrast, psi),
        wiring.zero_centred(penalty),
        penalty_schedule=geometric(updates, penalty_end),
        every=4,
        cap=cap,
    )
    method = VGrow(generator, flow, Normal(latent), Noise(seed), pool=pool, moves=moves, fits=fits, step=step)
    return wiring.experiment(method, points, batch=batch, steps=steps, seed=seed, conditional=conditional, threads=1)


@recipe
def toy_gan(
    *,
    data: str = "toy:ring8",
    labels: str | None = None,
    conditional: bool = False,
    limit: int | None = None,
    test_fraction: float | None = None,
    divergence: str = "JS",
    contrast: Literal["logistic", "dual"] = "logistic",
    steps: int = 4_000,
    batch: int = 192,
    latent: int = 2,
    width: int = 128,
    depth: int = 3,
    rate: float = 1e-3,
    penalty: float = 0.0,
    rounds: int = 5,
    cap: float = 100.0,
    ema: float = 0.999,
    seed: int = 0,
) -> Experiment:
    """A plain GAN on points, for comparison. With JS, the saturating loss, expect vanishing gradients on ring8.

    The critic, five updates ahead of the generator, soon tells samples from data; then the weight w = D of the
    saturating loss is near zero just where samples are wrong, and they stand still. `--divergence LOGD` is the log-D
    trick, KL the linear loss: the same line of code. `--rounds 1 --steps 12000` keeps the critic weak enough for JS.

    Args:
        data: digits, toy:NAME or PATH[:key].
        labels: Name of an array or column with classes.
        conditional: Learn one law for each class.
        limit: Use at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
        divergence: JS (saturating), LOGD (log-D trick), KL (linear), or any other as for toy_vgrow.
        contrast: The critic's loss: logistic regression, or the f-GAN dual of the divergence.
        steps: Steps of training.
        batch: Rows of data, and samples, in a step.
        latent: Size of z.
        width: Units of a hidden layer.
        depth: Hidden layers.
        rate: Learning rate of generator and critic, constant.
        penalty: Weight of a zero-centred gradient penalty on data and samples; 0 for none.
        rounds: Critic updates, each on fresh samples, for one of the generator.
        cap: Largest weight of a sample.
        ema: Decay of the generator's running average.
        seed: Seed of the split, the nets, the batches and the latents.
    """
    from pushforward.data import Noise
    from pushforward.divergences import locate
    from pushforward.flows.critic import CriticFlow
    from pushforward.methods.adversarial.gan import GAN
    from pushforward.methods.sources import Normal
    from pushforward.nets import mlp
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import wiring
    from pushforward.training.learner import Learner

    psi = locate(divergence)
    points = wiring.load(data, labels, conditional, seed, limit=limit, test_fraction=test_fraction)
    classes = points.n_classes if conditional else 0
    with seeded(seed):
        generator = Learner(
            mlp.generator(latent, points.event, width=width, depth=depth, classes=classes), wiring.adam(rate), ema=ema
        )
        critic = Learner(
            mlp.critic(points.event, width=width, depth=depth, classes=classes, activation=wiring.leaky),
            wiring.adam(rate),
        )
    flow = CriticFlow(
        critic,
        psi,
        wiring.contrast_of(contrast, psi),
        wiring.zero_centred(penalty),
        every=4,
        cap=cap,
    )
    method = GAN(generator, flow, Normal(latent), Noise(seed), rounds=rounds)
    return wiring.experiment(method, points, batch=batch, steps=steps, seed=seed, conditional=conditional, threads=1)
