"""What the commands `restore` and `interpolate` are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pushforward.errors import UsageError
from pushforward.settings.asked import Which
from pushforward.settings.options import Between, Seed, examined
from pushforward.settings.running import Threads

__all__ = ["Interpolating", "Opening", "Restoring"]

Many = Annotated[int, Between(1, 10**6)]


@dataclass(frozen=True)
class Opening:
    """How the run is opened, and by what its answers are drawn.

    Attributes:
        labels: Classes wanted from a conditional run, by name, for example 3 or cat; by their frequency if none.
        seed: Seed of the noise.
        checkpoint: Which checkpoint.
        device: auto, cpu, cuda, cuda:1, mps.
        threads: Threads; 0 for those of the run, as far as there are cores.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe or a divergence.
    """

    labels: str | None = None
    seed: Seed = 0
    checkpoint: Which = "last"
    device: str = "cpu"
    threads: Threads = 0
    trust: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restoring:
    """What is restored, what of it is known, how, and what is written.

    Attributes:
        run: Folder of a run of images that has a denoiser.
        image: A picture, or a folder of pictures.
        out: Folder for what is written: draws/NAME-000.png and so on, and grids/NAME.png, which shows the original,
            what is known, the draws, their mean and twice their standard deviation.
        mask: A picture in black and white of the same size: what is white is known, what is black is filled in.
        mask_half: The half that is hidden and filled in.
        colorize: Give colours to what is grey; of a picture in colour its grey is known, the mean of the channels.
        upscale: Enlarge by this factor: the picture is smaller than those of the run, and its pixels are known as the
            means of blocks.
        n: Draws of each picture; of two numbers of draws the fewer are the first of the more.
        strategy: How what is known enters: fixed, fresh, resample[:CYCLES], guidance[:SCALE].
        steps: Noise levels; `resample` goes through each as often as its cycles say, 10 by default.
        fit: Cut pictures of another size to their central square and resize them; they are refused without.
        opening: How the run is opened.
    """

    run: Positional[Path]
    image: Positional[Path]
    out: Path
    mask: Path | None = None
    mask_half: Literal["left", "right", "top", "bottom"] | None = None
    colorize: bool = False
    upscale: Annotated[int | None, Between(2, 256)] = None
    n: Annotated[Many, arg(aliases=["-n"])] = 8
    strategy: str = "resample"
    steps: Many = 50
    fit: bool = False
    opening: Annotated[Opening, arg(name="")] = Opening()

    def check(self) -> None:
        """Check what the command line gave, before any work.

        Raises:
            UsageError: If a number is out of range, or not exactly one thing is known of the pictures.
        """
        examined(self)
        asked = {"--mask": self.mask, "--mask-half": self.mask_half, "--upscale": self.upscale}
        given = [name for name, value in asked.items() if value is not None] + ["--colorize"] * self.colorize
        if len(given) != 1:
            said = " and ".join(given) or "nothing said of what is known"
            raise UsageError(f"restore: {said}; give one of --mask M.png, --mask-half left, --colorize, --upscale 2")


@dataclass(frozen=True)
class Interpolating:
    """Between what, how, and what is written.

    Attributes:
        run: Folder of a run of images that has a denoiser.
        a: A picture.
        b: Another.
        out: X.webp, an animation, or X.png, a row of pictures from the one to the other.
        n: Pictures of the row, the first like the one, the last like the other.
        path: linear, one noise for the whole row; or spherical, the noise turns from one to another.
        level: Noise that is added to the blend of both and removed again, in units of the data's spread: near 0 the
            row is a plain blend; the higher, the more its pictures are the run's own and the less like the two.
        steps: Steps from there to no noise.
        fit: Cut pictures of another size to their central square and resize them; they are refused without.
        opening: How the run is opened.
    """

    run: Positional[Path]
    a: Positional[Path]
    b: Positional[Path]
    out: Path
    n: Annotated[int, Between(2, 1000), arg(aliases=["-n"])] = 10
    path: Literal["linear", "spherical"] = "linear"
    level: Annotated[float, Between(1e-3, 1e3)] = 1.0
    steps: Many = 100
    fit: bool = False
    opening: Annotated[Opening, arg(name="")] = Opening()

    def check(self) -> None:
        """Check what the command line gave, before any work.

        Raises:
            UsageError: If a number is out of range.
        """
        examined(self)
