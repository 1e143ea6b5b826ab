"""Recipes in code space: particles whose codes flow, for any data, for a lifted toy, and from one digit to another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import Classes, CodeDrive, Coding, Critic, Examples, Images, Loop, Pace, Rows
from pushforward.settings.options import Between, Count, File, Number, Weight

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["digit_to_digit", "latent_particles", "toy_latent"]

WIDE = Critic(width=64, critic_steps=5)


@recipe
def latent_particles(
    *,
    examples: Examples = Examples(),
    codec_rows: Number | None = None,
    drive: CodeDrive = CodeDrive(Coding("pca:16", 2_000), WIDE, Loop(400, 500)),
    distil_steps: Count = 0,
) -> Experiment:
    """Particles that flow from normal codes to the data's codes, decoded. Expect readable digits in a minute.

    MNIST with `--codec autoencoder:16 --distil-steps 1500` takes about as long: FD@digits8 1.0, training images 0.2.
    The codec sees the same rows as the flow unless `codec_rows` says otherwise; an autoencoder of 60,000 images under a
    flow towards 200 is not a method that needs 200. Codes have unit size, so `slope` and `step` mean the same in all.

    Args:
        limit: The flow sees at most so many rows.
        codec_rows: Rows that the codec sees, more than the flow if you like; those of the flow if not given.
        distil_steps: Regressions of a generator of codes on where the flow carried normal codes; 0 for none. They
            count on top of `steps`, and samples then come from the generator.
    """
    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.latent.distilled import Distilled
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.methods.sources import normal
    from pushforward.nets import mlp
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import coding as codes
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    coding, loop, rows, classes = drive.coding, drive.loop, examples.rows, examples.classes
    whole = wiring.load(replace(rows, limit=None) if codec_rows else rows, classes, loop.seed, images=examples.images)
    data, rng = codes.first(whole, rows.limit), stream(loop.seed, "train")
    seen = whole.train[: codec_rows or len(data.train)]
    coder, learning, lessons = codes.codec_of(coding, whole, seen, seed=loop.seed)
    size, k = codes.parse(coding.codec)[1], wiring.counted(data, classes)
    known, first = data.train_labels if classes.conditional else None, stream(loop.seed, "init", part="particles")
    kept = None if known is None else known[first.integers(len(known), drive.particles)]
    with seeded(loop.seed):
        net = codes.critic_of(size, drive.critic, classes=k)
        generator = mlp.generator(size, size, width=256, classes=k)
    start, normal = first.normal(drive.particles, size), normal(size)
    moved = codes.particles_of(codes.flow_of(net, drive), start, rng, drive, source=normal, labels=kept)
    method = moved
    if distil_steps:
        learner = Learner(generator, wiring.adam(2e-3, (0.9, 0.999)), schedule=cosine(distil_steps))
        method = Distilled(
            learner, moved.particles, moved.particles, normal, rng, labels=kept, teacher=moved, lessons=loop.steps
        )
    pictures = data.kind == "images"
    return wiring.experiment(
        InCodeSpace(coder, method, learning, lessons, project=clamp(-1, 1) if pictures else None),
        data,
        replace(loop, steps=learning + loop.steps + distil_steps),
        conditional=classes.conditional,
        features=wiring.judge(examples.images.features, data) if pictures else None,
        threads=1,
    )


@recipe
def toy_latent(
    *,
    rows: Rows = Rows("toy:gaussians4"),
    dim: Annotated[int, Between(1, 10**5)] = 12,
    noise: Weight = 0.05,
    drive: CodeDrive = CodeDrive(Coding("autoencoder:2", 1_500, 64, 3e-3), particles=500, pace=Pace(0.3)),
    compare: Literal["codes", "data"] = "codes",
) -> Experiment:
    """A toy lifted to twelve numbers, learned through a code of two. Expect four even clusters in half a minute.

    With `--compare data` the critic sees decoded particles beside the data themselves, and its ascent is pulled back
    onto the codes: the decoded particles then obey the decoder's mobility.

    Args:
        data: toy:NAME, or points in PATH[:key].
        dim: Numbers of a lifted point.
        noise: Standard deviation of noise in every direction, as a share of the points' scale.
        limit: Use at most so many rows, for the codec and the flow.
        compare: Where particles and data are compared: as codes, or as data.
    """
    from pushforward.data.toys.lift import lift
    from pushforward.flows.preconditioned import pullback
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.methods.sources import normal
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import coding as codes
    from pushforward.recipes.parts import wiring

    coding, loop, seed = drive.coding, drive.loop, drive.loop.seed
    points = lift(wiring.load(rows, seed=seed, kind="points"), dim, noise=noise, seed=seed)
    rng, size, encoded = stream(seed, "train"), codes.parse(coding.codec)[1], compare == "codes"
    coder, learning, lessons = codes.codec_of(coding, points, points.train, seed=seed)
    with seeded(seed):
        net = codes.critic_of(size if encoded else dim, drive.critic)
    found = codes.flow_of(net, drive)
    flow = found if encoded else pullback(found, coder.decode)
    start = stream(seed, "init", part="particles").normal(drive.particles, size)
    method = codes.particles_of(flow, start, rng, drive, source=normal(size))
    method = InCodeSpace(coder, method, learning, lessons, encoded=encoded)
    return wiring.experiment(method, points, replace(loop, steps=learning + loop.steps), threads=1)


@recipe
def digit_to_digit(
    *,
    rows: Rows = Rows("digits"),
    labels: File | None = None,
    images: Images = Images(features="raw"),
    source: str = "2",
    target: str = "0",
    drive: CodeDrive = CodeDrive(critic=WIDE, loop=Loop(300, 1_000)),
) -> Experiment:
    """Images of one class that flow to those of another, in pixels (`--codec none`) or in code space.

    Expect MNIST's twos as clean zeros within a minute with `--codec autoencoder:16`, on the way in pixels by then.
    The codec sees the training images of both classes, and no others. `pushforward transport` carries new images.

    Args:
        data: digits, a folder of images, or PATH[:key]; it must bring classes.
        labels: Name of an array with classes, or their file.
        limit: Use at most so many images, of all classes together.
        source: Name of the class that moves.
        target: Name of the class it moves to.
        codec: none for pixels, pca:K, or autoencoder:K, with K numbers in a code.
        particles: Most images that move.
        width: Units of a hidden layer of the critic, even; channels of its first map, in pixels.
        depth: Hidden layers of the critic, in code space.
    """
    import torch

    from pushforward.methods.adversarial.vgrow import clamp
    from pushforward.methods.latent.in_code_space import InCodeSpace
    from pushforward.nets import lipschitz
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import coding as codes
    from pushforward.recipes.parts import wiring

    coding, critic, loop = drive.coding, drive.critic, drive.loop
    data = wiring.load(rows, Classes(labels, True), loop.seed, kind="images", images=images)
    old, new = codes.of_class(data, source), codes.of_class(data, target)
    start, rng, box = old.train[: drive.particles], stream(loop.seed, "train"), clamp(-1, 1)
    if coding.codec == "none":
        channels, side, _ = data.event
        with seeded(loop.seed):
            net = lipschitz.image_critic(side, channels, width=critic.width, slope=critic.slope)
        method, learning = codes.particles_of(codes.flow_of(net, drive), start, rng, drive, project=box), 0
    else:
        both = torch.cat([old.train, new.train])
        coder, learning, lessons = codes.codec_of(coding, data, both, seed=loop.seed)
        size = codes.parse(coding.codec)[1]
        with seeded(loop.seed):
            net = codes.critic_of(size, critic)
        moved = codes.particles_of(codes.flow_of(net, drive), torch.zeros(len(start), size), rng, drive)
        method = InCodeSpace(coder, moved, learning, lessons, starts=start, project=box)
    total, seen = replace(loop, steps=learning + loop.steps), wiring.judge(images.features, new)
    return wiring.experiment(method, new, total, features=seen, threads=1)
