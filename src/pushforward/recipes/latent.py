"""Recipes in code space: particles whose codes flow, for any data, for a lifted toy, and from one digit to another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pushforward.recipes.checks import recipe

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["digit_to_digit", "latent_particles", "toy_latent"]


@recipe
def latent_particles(
    *,
    data: str = "digits",
    labels: str | None = None,
    conditional: bool = False,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    test_fraction: float | None = None,
    codec: str = "pca:16",
    codec_steps: int = 2_000,
    codec_rows: int | None = None,
    codec_width: int = 256,
    codec_rate: float = 1e-3,
    net: Literal["dense", "convolutional"] = "dense",
    divergence: str = "KL_LIP",
    slope: float = 1.0,
    steps: int = 400,
    particles: int = 1_000,
    batch: int = 500,
    width: int = 64,
    depth: int = 3,
    rate: float = 5e-3,
    warmup: int = 50,
    critic_steps: int = 5,
    step: float = 0.5,
    distil_steps: int = 0,
    features: Literal["auto", "raw", "digits8"] = "auto",
    seed: int = 0,
) -> Experiment:
    """Particles that flow from normal codes to the data's codes, decoded. Expect readable digits in a minute.

    MNIST with `--codec autoencoder:16 --distil-steps 1500` takes about as long: FD@digits8 1.0, training images 0.2.
    The codec sees the same rows as the flow unless `codec_rows` says otherwise; an autoencoder of 60,000 images under a
    flow towards 200 is not a method that needs 200. Codes have unit size, so `slope` and `step` mean the same in all.

    Args:
        data: digits, toy:NAME, a folder of images, or PATH[:key].
        labels: Name of an array or column with classes, or their file.
        conditional: Particles of every class, which they keep, and a critic for each.
        side: Height and width of images, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        limit: The flow sees at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
        codec: pca:K, or autoencoder:K, with K numbers in a code.
        codec_steps: Steps in which an autoencoder learns before anything moves; they count on top of `steps`.
        codec_rows: Rows that the codec sees, more than the flow if you like; those of the flow if not given.
        codec_width: Units of a hidden layer of the autoencoder.
        codec_rate: Its learning rate at the start; it falls to zero.
        net: Layers of the autoencoder: dense or convolutional.
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, PEARSON_LIP, alpha_lip(A), W1 or package.module:NAME.
        slope: Largest slope of the critic, per unit of the code, exact by construction.
        steps: Steps of all particles.
        particles: Number of particles.
        batch: Rows of data that a critic sees in a step.
        width: Units of a hidden layer of the critic, even.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic at the start; it falls to a tenth.
        warmup: Calls of the critic before the particles' first step.
        critic_steps: Critic updates in one call.
        step: Time of a step at the start; it falls to a tenth. A step moves a code by `slope * step` at most.
        distil_steps: Regressions of a generator of codes on where the flow carried normal codes; 0 for none. They
            count on top of `steps`, and samples then come from the generator.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
        seed: Seed of the split, the nets, the batches and the first particles.
    """
    from pushforward.data import Noise
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.latent.distilled import Distilled
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.methods.sources import Normal
    from pushforward.nets import lipschitz, mlp
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import coding, wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    whole = wiring.load(
        data,
        labels,
        conditional,
        seed,
        side=side,
        channels=channels,
        limit=None if codec_rows else limit,
        test_fraction=test_fraction,
    )
    seen, rng = coding.first(whole, limit), Noise(seed)
    coder, learning, lessons = coding.codec_of(
        codec,
        whole,
        whole.train[: codec_rows or len(seen.train)],
        net=net,
        width=codec_width,
        rate=codec_rate,
        steps=codec_steps,
        seed=seed,
    )
    size = coding.parse(codec)[1]
    known = seen.train_labels if conditional else None
    classes = None if known is None else known[rng.integers(len(known), particles)]
    with seeded(seed + 1):
        critic = lipschitz.critic(size, width=width, depth=depth, slope=slope, classes=seen.n_classes * conditional)
        generator = mlp.generator(size, size, width=256, classes=seen.n_classes * conditional)
    flow = coding.flow_of(critic, divergence, calls=steps + warmup, updates=critic_steps, rate=rate)
    moved = coding.particles_of(
        flow,
        rng.normal(particles, size),
        rng,
        step=step,
        steps=steps,
        warmup=warmup,
        source=Normal(size),
        labels=classes,
    )
    method = moved
    if distil_steps:
        method = Distilled(
            Learner(generator, wiring.adam(2e-3, (0.9, 0.999)), schedule=cosine(distil_steps)),
            moved.particles,
            moved.particles,
            Normal(size),
            rng,
            labels=classes,
            teacher=moved,
            lessons=steps,
        )
    return wiring.experiment(
        InCodeSpace(coder, method, learning, lessons, project=clamp(-1, 1) if seen.kind == "images" else None),
        seen,
        batch=batch,
        steps=learning + steps + distil_steps,
        seed=seed,
        conditional=conditional,
        features=wiring.judge(features, seen) if seen.kind == "images" else None,
        threads=1,
    )


@recipe
def toy_latent(
    *,
    data: str = "toy:gaussians4",
    dim: int = 12,
    noise: float = 0.05,
    limit: int | None = None,
    codec: str = "autoencoder:2",
    codec_steps: int = 1_500,
    codec_width: int = 64,
    codec_rate: float = 3e-3,
    divergence: str = "KL_LIP",
    slope: float = 1.0,
    compare: Literal["codes", "data"] = "codes",
    steps: int = 300,
    particles: int = 500,
    batch: int = 500,
    width: int = 32,
    depth: int = 3,
    rate: float = 5e-3,
    warmup: int = 50,
    critic_steps: int = 5,
    step: float = 0.3,
    seed: int = 0,
) -> Experiment:
    """A toy lifted to twelve numbers, learned through a code of two. Expect four even clusters in half a minute.

    With `--compare data` the critic sees decoded particles beside the data themselves, and its ascent is pulled back
    onto the codes: the decoded particles then obey the decoder's mobility.

    Args:
        data: toy:NAME, or points in PATH[:key].
        dim: Numbers of a lifted point.
        noise: Standard deviation of noise in every direction, as a share of the points' scale.
        limit: Use at most so many rows, for the codec and the flow.
        codec: pca:K, or autoencoder:K, with K numbers in a code.
        codec_steps: Steps in which an autoencoder learns before anything moves; they count on top of `steps`.
        codec_width: Units of a hidden layer of the autoencoder.
        codec_rate: Its learning rate at the start; it falls to zero.
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, PEARSON_LIP, alpha_lip(A), W1 or package.module:NAME.
        slope: Largest slope of the critic, per unit of what it sees, exact by construction.
        compare: Where particles and data are compared: as codes, or as data.
        steps: Steps of all particles.
        particles: Number of particles.
        batch: Rows of data that a critic sees in a step.
        width: Units of a hidden layer of the critic, even.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic at the start; it falls to a tenth.
        warmup: Calls of the critic before the particles' first step.
        critic_steps: Critic updates in one call.
        step: Time of a step at the start; it falls to a tenth.
        seed: Seed of the points, the nets, the batches and the first particles.
    """
    from pushforward.data import Noise
    from pushforward.data.toys.lift import lift
    from pushforward.flows.preconditioned import Pullback
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.methods.sources import Normal
    from pushforward.nets import lipschitz
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import coding, wiring

    points = lift(wiring.load(data, None, False, seed, kind="points", limit=limit), dim, noise=noise, seed=seed)
    rng, size, encoded = Noise(seed), coding.parse(codec)[1], compare == "codes"
    coder, learning, lessons = coding.codec_of(
        codec, points, points.train, net="dense", width=codec_width, rate=codec_rate, steps=codec_steps, seed=seed
    )
    with seeded(seed + 1):
        critic = lipschitz.critic(size if encoded else dim, width=width, depth=depth, slope=slope)
    found = coding.flow_of(critic, divergence, calls=steps + warmup, updates=critic_steps, rate=rate)
    flow = found if encoded else Pullback(found, coder.decode)
    method = coding.particles_of(
        flow, rng.normal(particles, size), rng, step=step, steps=steps, warmup=warmup, source=Normal(size)
    )
    return wiring.experiment(
        InCodeSpace(coder, method, learning, lessons, encoded=encoded),
        points,
        batch=batch,
        steps=learning + steps,
        seed=seed,
        threads=1,
    )


@recipe
def digit_to_digit(
    *,
    data: str = "digits",
    labels: str | None = None,
    side: int | None = None,
    limit: int | None = None,
    test_fraction: float | None = None,
    source: str = "2",
    target: str = "0",
    codec: str = "pca:16",
    codec_steps: int = 1_500,
    codec_width: int = 256,
    codec_rate: float = 1e-3,
    net: Literal["dense", "convolutional"] = "dense",
    divergence: str = "KL_LIP",
    slope: float = 1.0,
    steps: int = 300,
    particles: int = 1_000,
    batch: int = 1_000,
    width: int = 64,
    depth: int = 3,
    rate: float = 5e-3,
    warmup: int = 50,
    critic_steps: int = 5,
    step: float = 0.5,
    seed: int = 0,
) -> Experiment:
    """Images of one class that flow to those of another, in pixels (`--codec none`) or in code space.

    Expect MNIST's twos as clean zeros within a minute with `--codec autoencoder:16`, on the way in pixels by then.
    The codec sees the training images of both classes, and no others. `pushforward transport` carries new images.

    Args:
        data: digits, a folder of images, or PATH[:key]; it must bring classes.
        labels: Name of an array with classes, or their file.
        side: Height and width, a power of two; chosen by the images if not given.
        limit: Use at most so many images, of all classes together.
        test_fraction: Share of the images held out; what the source says, or a tenth, if not given.
        source: Name of the class that moves.
        target: Name of the class it moves to.
        codec: none for pixels, pca:K, or autoencoder:K, with K numbers in a code.
        codec_steps: Steps in which an autoencoder learns before anything moves; they count on top of `steps`.
        codec_width: Units of a hidden layer of the autoencoder.
        codec_rate: Its learning rate at the start; it falls to zero.
        net: Layers of the autoencoder: dense or convolutional.
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, PEARSON_LIP, alpha_lip(A), W1 or package.module:NAME.
        slope: Largest slope of the critic, per unit of the code, or per pixel unit; exact by construction.
        steps: Steps of all particles.
        particles: Most images that move.
        batch: Images of the target that a critic sees in a step.
        width: Units of a hidden layer of the critic, even; channels of its first map, in pixels.
        depth: Hidden layers of the critic, in code space.
        rate: Learning rate of the critic at the start; it falls to a tenth.
        warmup: Calls of the critic before the first step.
        critic_steps: Critic updates in one call.
        step: Time of a step at the start; it falls to a tenth.
        seed: Seed of the split, the nets and the batches.
    """
    import torch

    from pushforward.data import Noise
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.nets import lipschitz
    from pushforward.nets.blocks import seeded
    from pushforward.recipes import coding, wiring

    images = wiring.load(data, labels, True, seed, kind="images", side=side, limit=limit, test_fraction=test_fraction)
    old, new = coding.of_class(images, source), coding.of_class(images, target)
    start = old.train[:particles]
    moving = partial(coding.particles_of, rng=Noise(seed), step=step, steps=steps, warmup=warmup)
    if codec == "none":
        with seeded(seed + 1):
            critic = lipschitz.image_critic(images.event[1], images.event[0], width=width, slope=slope)
        flow = coding.flow_of(critic, divergence, calls=steps + warmup, updates=critic_steps, rate=rate)
        method, learning = moving(flow, start, project=clamp(-1, 1)), 0
    else:
        both = torch.cat([old.train, new.train])
        coder, learning, lessons = coding.codec_of(
            codec, images, both, net=net, width=codec_width, rate=codec_rate, steps=codec_steps, seed=seed
        )
        size = coding.parse(codec)[1]
        with seeded(seed + 1):
            critic = lipschitz.critic(size, width=width, depth=depth, slope=slope)
        flow = coding.flow_of(critic, divergence, calls=steps + warmup, updates=critic_steps, rate=rate)
        moved = moving(flow, torch.zeros(len(start), size))
        method = InCodeSpace(coder, moved, learning, lessons, starts=start, project=clamp(-1, 1))
    return wiring.experiment(method, new, batch=batch, steps=learning + steps, seed=seed, threads=1)
