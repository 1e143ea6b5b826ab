"""What the commands `evaluate` and `merge` are asked: read off the command line once, and handed on as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pushforward.errors import UsageError
from pushforward.settings.options import Between, Count, Length, Seed, Steps, examined
from pushforward.settings.running import Threads

__all__ = ["Evaluating", "Merging", "Sampling", "Settings", "Which"]

Which = Literal["last", "best"]
Sampling = Annotated[tuple[str, ...], arg(name="sampling.FIELD", metavar="VALUE")]

UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made.

    Attributes:
        max_n: Rows used of each sample where the cost is quadratic.
        permutations: Relabellings behind a p-value; its smallest value is 1/(permutations + 1).
        memory: Memory that the temporaries of one block may take, as 64MB or 1GB.
        seed: Seed of samples, subsets and permutations.
    """

    max_n: Annotated[int, Between(4, 10**9)] = 2000
    permutations: Count = 999
    memory: str = "64MB"
    seed: Seed = 0

    @property
    def bytes(self) -> int:
        """The memory in bytes; 0 if it is none."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?B?)", self.memory.strip().upper())
        return int(float(match[1]) * UNITS[match[2]]) if match else 0

    def check(self) -> None:
        """Check what the command line gave.

        Raises:
            UsageError: If a number is out of range; the message says which, and what to give.
        """
        examined(self)
        if 0 < self.permutations < 19:
            raise UsageError(
                f"--permutations {self.permutations}: give 0 for no p-values, or at least 19 for p down to 0.05"
            )
        if self.bytes < 2**20:
            raise UsageError(f"--memory {self.memory}: give a size of at least 1MB, as 64MB or 1GB")


@dataclass(frozen=True)
class Evaluating:
    """What is measured, by what, and what is written.

    Attributes:
        run: Folder of a run; or give --fake and --real.
        fake: Model samples: a folder of images, PATH[:key] of .npy .npz .csv .parquet .h5ad, digits or toy:NAME.
        real: Data to hold them against, likewise.
        train: What the model learned from, likewise; tells whether it copies.
        data: Where the data of the run are now, if they moved; they must be those that it learned from.
        features: auto, raw, pixels, scaled, pca:K, random:K, digits8, mnist_lenet, fashion_lenet, cifar_resnet,
            inception:FILE, a network's FILE, or package.module:NAME; auto is what the run was judged by.
        metrics: Parts by name, as mmd,c2st,fd,kid,manifold,tails; default, tests, all; package.module:NAME of your own;
            --metrics list lists them.
        fail_if: Gates, as 'p<0.01' 'recall<0.5' 'FD>1.5*floor' 'mmd.p<0.05' copies.
        page: Write a page with pictures here.
        checkpoint: Which checkpoint of the run.
        device: auto, cpu, cuda, cuda:1, mps; where the generator runs.
        threads: Threads; 0 for those of the run, or what the machine has.
        side: Side of images to compare at, in pixels; the shortest of the real ones if not given.
        n: Samples drawn from the run; as many as there are held-out rows, at most 10000, if not given.
        sampling: A setting of the run's own sampling, where it has some, by its name; several may be given.
        trust: What from outside may be run: TorchScript FILE, package.module:NAME or package.module of a recipe, a
            divergence, a metric or a network.
        settings: How.
    """

    run: Positional[Path | None] = None
    fake: str | None = None
    real: str | None = None
    train: str | None = None
    data: str | None = None
    features: str = "auto"
    metrics: str = "default"
    fail_if: tuple[str, ...] = ()
    page: Path | None = None
    checkpoint: Which = "last"
    device: str = "cpu"
    side: Annotated[int | None, Between(4, 4096)] = None
    n: Annotated[int | None, Between(2, 10**9), arg(aliases=["-n"])] = None
    threads: Threads = 0
    sampling: Sampling = ()
    trust: tuple[str, ...] = ()
    settings: Annotated[Settings, arg(name="")] = Settings()

    def check(self) -> None:
        """Check what goes together.

        Raises:
            UsageError: If options do not, or a number is out of range; the message says which.
        """
        examined(self)
        run, files = self.run, (self.fake, self.real)
        if (run is None) == (files == (None, None)) or (self.fake is None) != (self.real is None):
            raise UsageError("evaluate: give the folder of a run, or both --fake A and --real B")
        if run is None and self.data is not None:
            raise UsageError(f"--data {self.data}: goes with the folder of a run; name files by --fake and --real")
        if run is None and self.n is not None:
            raise UsageError(f"-n {self.n}: goes with the folder of a run; files are compared as they are")
        if run is None and self.sampling:
            raise UsageError(f"--sampling.{self.sampling[0]}: goes with the folder of a run; files are what they are")
        for option, value in (("checkpoint", self.checkpoint), ("device", self.device)):
            if run is None and value != getattr(Evaluating, option):
                raise UsageError(f"--{option} {value}: goes with the folder of a run; files need no generator")
        if run is not None and self.side is not None:
            raise UsageError(f"--side {self.side}: goes with --fake and --real; a run has the side of its data")
        if run is not None and self.train is not None:
            raise UsageError(f"--train {self.train}: goes with --fake and --real; a run knows its training set")
        self.settings.check()


@dataclass(frozen=True)
class Merging:
    """What is merged, how, and what is written.

    Attributes:
        file: FILE.h5ad, or a plain matrix: FILE.csv, FILE.tsv (rows are samples), FILE.npz[:key].
        batch: Column of obs, column or array that names the batches; with a map that of the map unless named.
        target: The batch that stays; a map has its own.
        out: The merged file, in the format of the first.
        source: Batches that move; all others if none is named.
        labels: Column or array of classes; cells then move within their class.
        columns: Columns that move, and no others: by name, of .npz by number from 0; all that look measured if none.
        exclude: Columns of numbers that stay as they are, such as age, likewise.
        mode: per_class, a critic for each class; conditional, one critic that knows them; unconditional, without.
        use_rep: An embedding of the .h5ad file, X, pca:K, or vae:RUN[:LAYER], codes of counts by a run of vae_counts;
            auto is X_pca, the columns where they are few, or pca:50.
        fit_on: Whether pca:K is fitted on all that is merged, or on the target.
        divergence: kl, js, reverse_kl, hellinger, pearson, alpha(A) or w1, all Lipschitz-regularised.
        lipschitz: Largest slope of the critic, per standard deviation of the representation.
        steps: Most moves before cells settle.
        keep: What moved values keep: zeros that were exactly 0, signs of columns without negative values in the target,
            levels such as whole numbers.
        scarce: Whether classes of less than 10 cells here or in the target are an error, follow their neighbours, or
            stay.
        unmatched: Whether cells without a counterpart in the target stay, follow neighbours, or move with the others,
            where there are no labels; they stay unless told otherwise.
        n_boot: Refits for the uncertainty of each cell's place.
        threads: Threads; 0 for one, which suits nets of this size.
        seed: Seed of everything.
        page: Write a page with pictures here.
        save_map: Write the map of cells that come later here, FILE.safetensors.
        map: Carry the cells of the file by such a map, in place of merging them.
    """

    file: Positional[str]
    out: Path
    batch: str | None = None
    target: str | None = None
    source: tuple[str, ...] = ()
    labels: str | None = None
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mode: Literal["unconditional", "per_class", "conditional"] | None = None
    use_rep: str = "auto"
    fit_on: Literal["pooled", "target"] = "pooled"
    divergence: str = "kl"
    lipschitz: Length = 1.0
    steps: Steps = 200
    keep: tuple[Literal["zeros", "signs", "levels"], ...] = ()
    scarce: Literal["error", "carry", "stay"] = "error"
    unmatched: Literal["stay", "follow", "move"] | None = None
    n_boot: Count = 0
    threads: Threads = 0
    seed: Seed = 0
    page: Path | None = None
    save_map: Path | None = None
    map: Path | None = None

    def check(self) -> None:
        """Check what the command line gave, before any work.

        Raises:
            UsageError: If a number is out of range; the message says which.
        """
        examined(self)
        if self.n_boot == 1:
            raise UsageError("--n-boot 1: give 0, or at least 2 refits")
        if self.map is not None:
            goes = {"file", "out", "batch", "labels", "columns", "exclude", "threads", "map"}
            for option in fields(self):
                if option.name not in goes and getattr(self, option.name) != option.default:
                    words = option.name.replace("_", "-")
                    raise UsageError(f"--{words}: of a merge; with --map cells go the way that was found: leave it out")
            return
        for name, value in (("batch", self.batch), ("target", self.target)):
            if value is None:
                what = "the column that names the batches" if name == "batch" else "the batch that stays"
                raise UsageError(f"--{name}: name {what}, or give --map FILE.safetensors of a merge")
