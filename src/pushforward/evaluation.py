"""Samples from anywhere against data from anywhere: read, checked, measured, written up.

report = evaluate("samples/", "photos/")                  # two folders of images
report = evaluate(model_frame, data_frame)                # two tables
report = evaluate(fake, real, train, features=space, metrics="mmd,c2st,memorisation", page="page.html")
print(report.verdict, report["mmd"].p)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pushforward import guests
from pushforward.data import outputs
from pushforward.data.compare.columns import far_out
from pushforward.data.compare.pairs import Pair, mixed_pair
from pushforward.densities.rows import RowDensities
from pushforward.errors import DataError, UsageError, meant
from pushforward.metrics.core.features import RAW, Features, of_module
from pushforward.metrics.evaluate import Metric, Watch, own_part
from pushforward.metrics.evaluate import evaluate as measure
from pushforward.metrics.networks import (
    cifar_resnet,
    fashion_lenet,
    fit_scale,
    load_network,
    mnist_lenet,
    pca,
    pixels,
    random_features,
    scaled_by,
)
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.suite import DEFAULT_DENSITIES, DEFAULT_IMAGES, DEFAULT_POINTS, PARTS, TESTS, Part
from pushforward.metrics.verdict.report import Report
from pushforward.parallel.ordinary import ordinarily
from pushforward.plain.findings import LeftOut
from pushforward.report.evaluation import Shown, write_evaluation
from pushforward.settings.asked import Settings

__all__ = ["NETWORKS", "SPACES", "Chosen", "Settings", "evaluate", "measure_pair", "parts", "space"]

NETWORKS: dict[str, Callable[[], Features]] = {
    "digits8": digits8,
    "mnist_lenet": mnist_lenet,
    "fashion_lenet": fashion_lenet,
    "cifar_resnet": cifar_resnet,
}
"""Networks that come with the library, by the names of their feature spaces."""
SPACES = ("auto", "raw", "pixels", "scaled", "pca", "random", *NETWORKS)
"""Feature spaces that have a name; "pca:K" and "random:K" set the number of features. Others are given as a FILE."""


@ordinarily
def evaluate(
    fake: Any,
    real: Any,
    train: Any = None,
    *,
    features: Features | nn.Module | Callable[[Tensor], Tensor] | str | None = "auto",
    metrics: str | Sequence[str | Part | Metric] | Mapping[str, Metric] | None = None,
    seed: int = 0,
    permutations: int = 999,
    max_n: int = 2000,
    memory: int = 2**26,
    side: int | None = None,
    rounded: bool | None = None,
    page: Path | str | None = None,
    trust: Sequence[str] = (),
    watch: Watch | None = None,
) -> Report:
    """Compare a model's samples with data: two-sample tests, sample quality and, with the training set, memorisation.

    Args:
        fake: Model samples: an array or tensor, a data frame, an AnnData object; or a path (a string with an optional
            :key), as on the command line; each set may be any of these. Images are (n, c, h, w) tensors in [-1, 1], or
            arrays (n, h, w[, c]).
        real: Held-out data of the same kind.
        train: What the model learned from; without it nothing is said about memorisation.
        features: A feature space, or the name of one: "auto", "raw", "scaled", "pca:50", "random:64", "digits8",
            "mnist_lenet", "fashion_lenet", "cifar_resnet", "inception:FILE", or a network's FILE. "auto" compares
            tables in widths of columns, the bundled digits by `digits8`, and everything else as it is. Or a network
            or function of yours, (n, *event) -> (n, dim).
        metrics: Names of parts ("mmd,c2st,manifold", "default", "tests", "all"), parts of `metrics.suite`, functions of
            yours (fake features, real features) -> number, or a list of any of these; what suits the samples where
            omitted.
        seed: Seed of every subset, direction and relabelling.
        permutations: Relabellings behind a p-value.
        max_n: Rows used where the cost is quadratic.
        memory: Bytes that the temporaries of one block may take.
        side: Side of images to compare at, in pixels; the shortest of the real ones where omitted.
        rounded: Whether fake is rounded to the grid of real where real is discrete: files, arrays and frames are unless
            this is False, tensors only where it is True.
        page: Where to write a page with pictures; none where omitted.
        trust: TorchScript files or package.module:NAME that may be run.
        watch: Is told how it goes.

    Raises:
        DataError: If the samples cannot be read or compared; the message says why, and the remedy.
        UsageError: If an option does not apply, or the page must not be written where it is named.
        OSError: If the page cannot be written; it names the file.
    """
    if page is not None:
        outputs.claim("page", Path(page), outputs.PAGE, (fake, real, train, features))
    pair, title = _read(fake, real, train, seed, side, rounded)
    if features is None or isinstance(features, str):
        chosen = space(features or "auto", pair, trust=trust)
    else:
        chosen = Chosen(_own_space(features))
    settings = Settings(max_n, permutations, f"{memory}B", seed)
    if metrics is not None and not isinstance(metrics, Mapping):
        listed = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
        metrics = [part for one in listed for part in _meant(one, pair, chosen.features, trust)]
    report = measure_pair(pair, chosen, metrics, settings, title=title, watch=watch)
    if page is not None:
        write_evaluation(report, Shown(pair.fake, pair.real, pair.train, pair.names, title), Path(page))
    return report


def _read(fake: Any, real: Any, train: Any, seed: int, side: int | None, rounded: bool | None) -> tuple[Pair, str]:
    """Sets of samples in one form, and what is compared in words; see `evaluate`."""
    pair = mixed_pair(fake, real, train, seed=seed, side=side, rounded=rounded)
    called = (str(x) if isinstance(x, str | Path) else what for x, what in ((fake, "samples"), (real, "data")))
    return pair, " against ".join(called)


def _own_space(features: Features | nn.Module | Callable[[Tensor], Tensor]) -> Features:
    """A user's network or function as a feature space."""
    if isinstance(features, Features):
        return features
    if isinstance(features, nn.Module):
        return of_module(type(features).__name__, features)
    if not callable(features):
        raise UsageError(f"features is {features!r:.60}: give a name, a Features, or a function of (n, *event)")
    return Features(getattr(features, "__name__", type(features).__name__), "", None, features)


def _meant(one: str | Part | Metric, pair: Pair, features: Features, trust: Sequence[str]) -> list[Part]:
    """The parts that one entry of a list of metrics stands for."""
    if isinstance(one, str):
        return parts(one, pair, features, trust)
    if isinstance(one, Part):
        return [one]
    if not callable(one):
        raise UsageError(f"metrics holds {one!r:.60}: give names, parts, or functions (fake, real) -> number")
    return [own_part(getattr(one, "__name__", type(one).__name__), one)]


def measure_pair(
    pair: Pair,
    chosen: Chosen,
    metrics: Sequence[Part] | Mapping[str, Metric] | None,
    settings: Settings,
    *,
    title: str,
    draws: int = 1,
    watch: Watch | None = None,
    together: bool = False,
) -> Report:
    """Measure what has been read; see `evaluate`. Where the model's densities cannot be had, all else is measured.

    Args:
        pair: The samples.
        chosen: The feature space.
        metrics: The parts; what suits the samples where None.
        settings: Seed, sizes and memory.
        title: What was compared, for the record.
        draws: Sets of samples that fake holds.
        watch: Is told how it goes.
        together: All ranks of the process group share the work.
    """
    densities, metrics, lost = _densities(pair, metrics)
    report = measure(
        pair.fake, pair.real, train=pair.train, features=chosen.features, metrics=metrics,
        **_centres(pair), names=pair.names, seed=settings.seed, permutations=settings.permutations,
        max_n=settings.max_n, draws=draws, split=title, budget=settings.bytes, watch=watch, together=together,
        densities=densities, support=pair.support, fields=pair.fields, findings=pair.findings,
        notes=(*pair.notes, *chosen.notes), unread=pair.unsought,
    )  # fmt: skip
    return replace(report, left_out=(*lost, *report.left_out))


Asked = Sequence[Part] | Mapping[str, Metric] | None


def _densities(pair: Pair, metrics: Asked) -> tuple[RowDensities | None, Asked, tuple[LeftOut, ...]]:
    """The model's log densities, what can be measured with or without them, and what cannot.

    They are asked for only where something is measured that needs them: they may cost more than all else.

    Raises:
        DataError: If they cannot be had and nothing else is measured.
    """
    if pair.densities is None or isinstance(metrics, Mapping):
        return None, metrics, ()
    usual = () if pair.sparing else DEFAULT_DENSITIES
    wanted = [part for part in (usual if metrics is None else metrics) if "density" in part.needs]
    if not wanted:
        return None, metrics, ()
    try:
        return pair.densities(), metrics, ()
    except DataError as error:
        left = None if metrics is None else [part for part in metrics if part not in wanted]
        if left == []:
            raise
        return None, left, tuple(LeftOut(part.name, str(error), part.answers) for part in wanted)


def _centres(pair: Pair) -> dict[str, Any]:
    """Centres, width and weights for mode counts, where the components are round and alike."""
    if pair.mixture is None:
        return {}
    known, dim = pair.mixture, pair.mixture.means.shape[1]
    alike = torch.allclose(known.covariances, known.sigma**2 * torch.eye(dim, dtype=known.covariances.dtype))
    return {"centres": known.means, "sigma": known.sigma, "weights": known.weights} if alike else {}


def parts(names: str, pair: Pair, features: Features, trust: Sequence[str] = ()) -> list[Part]:
    """Parts of an evaluation by their names: "mmd,c2st", "default", "tests", "all", and sums such as "default,kid".

    Args:
        names: The names; "default" and "all" take what suits the samples.
        pair: The samples.
        features: The feature space.
        trust: Metrics of the user's, package.module:NAME, that may be imported.

    Raises:
        UsageError: If there is no such part, or it is a guest that the user did not name.
    """
    images = pair.kind == "images"
    there = {"train"} if pair.train is not None else set[str]()
    there |= set() if images else {"points"}
    there |= {"pairs"} if not images and len(pair.fields or pair.fake[0]) > 1 else set()
    there |= {"colours"} if images and pair.fake.shape[1] == 3 else set()
    there |= {"centres"} if _centres(pair) else set()
    there |= {"support"} if pair.support is not None else set()
    there |= {"density"} if pair.densities is not None else set()
    there |= {"classifier"} if features.classify is not None else set()
    fitting = [part for part in PARTS.values() if part.needs <= there]
    usual = DEFAULT_IMAGES if images else DEFAULT_POINTS
    groups: dict[str, Sequence[Part]] = {
        "tests": TESTS,
        "default": [part for part in (*usual, *(() if pair.sparing else DEFAULT_DENSITIES)) if part in fitting],
        "all": fitting,
    }
    chosen: dict[str, Part] = {}
    aliases = {given.lower(): part.name for part in PARTS.values() for given in part.gives} | {n: n for n in PARTS}
    for word in map(str.strip, names.split(",")):
        if ":" in word:
            mine = _outside(word, trust)
            for other in (other for other in chosen if ":" in other and other != word):
                if shared := set(mine.gives) & set(chosen[other].gives):
                    raise UsageError(f"metric {word!r}: gives {min(shared)}, which {other} gives; rename one of them")
            chosen[word] = mine
            continue
        name = aliases.get(word.lower(), word.lower())
        if name not in PARTS and name not in groups:
            hint = meant(name, [*aliases, *groups])
            raise UsageError(
                f"metrics {name!r}: {hint}there are {', '.join(PARTS)}; default, tests, all; and package.module:NAME"
            )
        chosen |= {part.name: part for part in groups[name]} if name in groups else {name: PARTS[name]}
    return list(chosen.values())


def _outside(name: str, trust: Sequence[str]) -> Part:
    """A metric of the user's: a part, or a function (fake features, real features) -> a number or a measure."""
    if guests.is_guest(name):
        guests.admit(name, trust, "metric")
    found = guests.load(name, "metric")
    if not isinstance(found, Part) and (isinstance(found, type) or not callable(found)):
        raise guests.refused(name, "metric", found, "a function (fake, real) -> number, or a Part")
    if not isinstance(found, Part) and not _takes_two(found):
        raise guests.refused(name, "metric", found, "a function of two arguments, (fake, real) -> number")
    part = found if isinstance(found, Part) else own_part(name.rpartition(":")[2], cast(Metric, found))
    if shared := {given for other in PARTS.values() for given in other.gives} & set(part.gives):
        raise UsageError(f"metric {name!r}: gives {min(shared)}, which a part of this package gives; rename yours")
    return part


def _takes_two(function: Callable[..., object]) -> bool:
    """Whether a function can be called with two arguments, as far as it says."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # it has no signature to be read
        return True
    return True


@dataclass(frozen=True)
class Chosen:
    """A feature space that was chosen for a pair of samples.

    Attributes:
        features: The space.
        notes: What should be known about the choice.
    """

    features: Features
    notes: tuple[str, ...] = ()


def space(name: str, pair: Pair, *, trust: Sequence[str] = ()) -> Chosen:
    """A feature space by its name.

    Args:
        name: One of `SPACES`, "pca:K", "random:K", "inception:FILE", or a network's FILE.
        pair: The samples; some spaces are fitted to them.
        trust: TorchScript files or package.module:NAME that may be run.

    Raises:
        UsageError: If there is no such space, or it does not suit the samples.
        DataError: If a file is missing or damaged.
    """
    images, event = pair.kind == "images", tuple(pair.real.shape[1:])
    head, _, tail = name.partition(":")
    if name == "auto":
        return _usual(pair)
    if name == "raw":
        return Chosen(RAW)
    if name == "scaled" or head in ("pca", "random"):
        if tail and not (tail.isdigit() and int(tail) > 0):
            raise UsageError(f"features {name}: give a number of features from 1 on, as {head}:50")
        return _fitted(head, int(tail or 0), pair)
    if name in NETWORKS or name == "pixels":
        if not images:
            raise UsageError(f"features {name}: the samples are points of shape {event}, not images; use raw or scaled")
        return Chosen(NETWORKS[name]() if name in NETWORKS else pixels)
    if name == "inception":
        raise UsageError("features inception: its weights are a file of yours; use inception:FILE")
    file = tail if head == "inception" and tail else name
    known = (".safetensors", ".pth", ".pt", ".ts", ".torchscript")
    if ":" not in file and not file.endswith(known) and not Path(file).exists():
        hint = meant(name, SPACES)
        raise UsageError(f"features {name!r}: {hint}use {', '.join(SPACES)}, inception:FILE, or a network's FILE")
    return Chosen(load_network(file, event=event, trust=guests.trusted(file, trust)))


def _usual(pair: Pair) -> Chosen:
    """What is compared where nobody chose: tables in robust widths, small digits by their network."""
    if pair.kind == "images":
        if tuple(pair.real.shape[1:]) == (1, 8, 8):
            return Chosen(digits8())
        return Chosen(RAW, ("compared by their pixels: name a feature network to compare what is in the images",))
    return _fitted("scaled", 0, pair) if pair.table else Chosen(RAW)


def _fitted(kind: str, k: int, pair: Pair) -> Chosen:
    """A space fitted to all rows alike.

    A space knows the rows that it was fitted to. Fitted to real alone it would tell two samples of one law apart, and
    fitted to train alone it would set the training set apart from both.
    """
    pool = torch.cat([x for x in (pair.fake, pair.real, pair.train) if x is not None])
    inner, notes = _scaled(pool, pair) if pair.table or kind == "scaled" else (None, [])
    if kind == "random":
        features = random_features(tuple(pair.real.shape[1:]), k or 128, reference=pool, features=inner)
    elif kind == "pca":
        most = min(len(pool) - 1, pool[0].numel())
        features = pca(pool, k or min(50, most), features=inner or RAW)
    else:
        assert inner is not None
        features = inner
    fitted = f"{features.id} was fitted to all rows alike; its scores belong to this comparison"
    return Chosen(features, (fitted, *notes))


def _scaled(pool: Tensor, pair: Pair) -> tuple[Features, list[str]]:
    """Every column in widths of the pool, and which have rows far out; levels of a category keep their distance."""
    scale = fit_scale(pool)
    told = [j for one in pair.fields if one.kind == "category" for j in one.places]
    told += [one.missing for one in pair.fields if one.missing is not None]
    if told:
        width = scale.width.index_fill(0, torch.tensor(told), 1.0)
        scale = replace(scale, centre=scale.centre.index_fill(0, torch.tensor(told), 0.0), width=width)
    names = [pair.names[j] if pair.names else str(j) for j in range(len(scale.width))]
    sets = {"fake": pair.fake, "real": pair.real} | ({} if pair.train is None else {"train": pair.train})
    far = {role: scale.far(x.flatten(1)).tolist() for role, x in sets.items()}
    return scaled_by(scale), far_out(far, names, len(pool))
