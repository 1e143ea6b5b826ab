"""What a variational autoencoder says of counts of blood cells in three batches, beside plainer laws and merges.

    python scripts/merging_counts.py --data pbmc_3batch.npz --json counts.json    # three seeds, 20 minutes on one core
    python scripts/merging_counts.py --steps 300 --seeds 1                        # on toy:counts, to try it

A third of the cells is held out: nothing is fitted to them. Likelihoods are nats of a held-out cell whose sum, and
batch where a law is told it, are given. Those of autoencoders are bounds from below, so that they lose what the bound
does; the others are exact. A multinomial law knows in addition that the counts sum to what they sum to.

Merges are of held-out cells too. Principal components of log(1 + 10,000 shares), or codes: before, and after the
training cells of the other batches have moved onto those of the target without labels, and held-out cells were carried
along by the five nearest. Beside mixing and biology: the share of held-out cells of other batches whose type the
target's training cells tell, 15 neighbours each. The floor is that of the target's held-out cells cut at random.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.optim import LBFGS

from pushforward.data.dataset import split
from pushforward.data.toys.counts import ROWS, draw
from pushforward.densities.likelihoods.counts import NegativeBinomial
from pushforward.merging import merge_arrays
from pushforward.merging.codes import principal_axes
from pushforward.methods.latent.vae import VAE
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.conservation import transfer
from pushforward.metrics.integration.table import integration, split_floor, total
from pushforward.parallel import threads
from pushforward.recipes.variational import vae_counts
from pushforward.training.loop import train

Array = NDArray[Any]
POISSON = 1e9  # an inverse dispersion at which nothing is left of it
TOLD = "transfer from training cells"
SHOWN = ("ilisi", "kbet_label", "bras", "clisi", "asw_label", "connectivity", "transfer", TOLD, "total")


@dataclass(frozen=True)
class Cells:
    """Counts (n, genes), the batch and type of each cell, and the batch onto which the others move."""

    x: Array
    batch: Array
    kind: Array
    target: str


@dataclass(frozen=True)
class Halves:
    """Cells to learn from, and cells held out."""

    seen: Cells
    held: Cells


def blood(path: Path) -> Cells:
    """Counts behind log(1 + 10,000 x / sum): whole numbers as nearly as float32 keeps them, which is said."""
    found = np.load(path)
    shape = tuple(map(int, found["shape"]))
    logs = sparse.csr_matrix((found["data"], found["indices"].astype(np.int64), found["indptr"]), shape=shape).toarray()
    raw = np.expm1(logs.astype(np.float64)) * found["n_umi"][:, None] / 10_000
    x = np.rint(raw)
    off = np.abs(raw - x)
    print(
        f"{path.name}: {len(x):,} cells x {x.shape[1]:,} genes; counts are whole to {off.max():.1e}, "
        f"{(off[x > 0] / x[x > 0]).max():.1e} of themselves; {x.sum(1).min():.0f} to {x.sum(1).max():.0f} a cell"
    )
    kind = found["cell_type_broad_names"][found["cell_type_broad"]]
    return Cells(x, found["batch_names"][found["batch"]], kind, "5p")


def toy() -> Cells:
    """The bundled toy."""
    found = draw(ROWS // 4, np.random.default_rng(0))
    return Cells(found.x, np.array(["first", "second"])[found.batch], found.kind.astype(str), "first")


def halves(cells: Cells, seed: int) -> Halves:
    """A third held out at random."""
    parts = (Cells(cells.x[rows], cells.batch[rows], cells.kind[rows], cells.target)
             for rows in split(len(cells.x), seed, 1 / 3))  # fmt: skip
    return Halves(*parts)


def trained(cells: Halves, conditional: bool, seed: int, asked: argparse.Namespace) -> VAE:
    """The recipe, on training cells alone."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npz"
        seen, held = cells.seen, cells.held
        np.savez(path, x_train=seen.x, y_train=seen.batch, x_test=held.x, y_test=held.batch)
        experiment = vae_counts(
            data=f"{path}:x_train", conditional=conditional, steps=asked.steps, seed=seed, code=asked.code,
            prior=asked.prior,
        )  # fmt: skip
        for _ in train(experiment):
            pass
    assert isinstance(experiment.method, VAE)
    return experiment.method


def tensors(cells: Cells, names: Array) -> tuple[Tensor, Tensor]:
    """Counts, and numbers of batches."""
    return torch.from_numpy(cells.x).float(), torch.from_numpy(np.searchsorted(names, cells.batch))


@dataclass(frozen=True)
class Shares:
    """Shares of genes by cluster and batch, (clusters, batches, genes), the clusters' weights by batch, (batches,
    clusters), and log r of each gene: a mixture of negative binomial laws given a cell's sum and batch."""

    shares: Array
    weights: Array
    log_inverse: Tensor

    def log_prob(self, x: Array, batch: Array) -> Tensor:
        """Nats of each cell."""
        size, parts = x.sum(1, keepdims=True), list[Tensor]()
        for k, shares in enumerate(self.shares):
            theta = torch.stack([torch.from_numpy(np.log(size * shares[batch])), self.log_inverse.expand(*x.shape)], 1)
            parts.append(
                NegativeBinomial().log_prob(torch.from_numpy(x), theta)
                + torch.from_numpy(np.log(self.weights[batch, k]))
            )
        return torch.stack(parts).logsumexp(0)


def fitted(x: Array, batch: Array, cluster: Array, dispersed: bool = True) -> Shares:
    """Shares by counting, half a count more each: a cluster's, times what a batch multiplies genes by; r by maximum
    likelihood given each cell's own cluster, or none."""
    clusters, batches = int(cluster.max()) + 1, int(batch.max()) + 1
    plain = np.stack([x[cluster == k].sum(0) + 0.5 for k in range(clusters)])
    plain /= plain.sum(1, keepdims=True)
    wanted = x.sum(1, keepdims=True) * plain[cluster]
    factors = np.stack([(x[batch == b].sum(0) + 0.5) / (wanted[batch == b].sum(0) + 0.5) for b in range(batches)])
    shares = plain[:, None] * factors
    shares /= shares.sum(2, keepdims=True)
    weights = np.stack([np.bincount(cluster[batch == b], minlength=clusters) + 0.5 for b in range(batches)])
    weights = weights / weights.sum(1, keepdims=True)
    if not dispersed:
        return Shares(shares, weights, torch.full((x.shape[1],), math.log(POISSON), dtype=torch.float64))
    rows, log_rate = torch.from_numpy(x), torch.from_numpy(np.log(x.sum(1, keepdims=True) * shares[cluster, batch]))
    log_inverse = torch.ones(x.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = LBFGS([log_inverse], max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        theta = torch.stack([log_rate, log_inverse.clamp(-8, 12).expand_as(log_rate)], 1)
        loss = -NegativeBinomial().log_prob(rows, theta).mean()
        loss.backward()
        return loss

    optimiser.step(closure)  # pyright: ignore[reportArgumentType]
    return Shares(shares, weights, log_inverse.detach().clamp(-8, 12))


def multinomial(x: Array, share: Array) -> Tensor:
    """Nats of counts that sum to what they do, by shares (n, genes)."""
    rows = torch.from_numpy(x)
    each = rows * torch.from_numpy(np.log(share)) - torch.lgamma(rows + 1)
    return each.sum(1) + torch.lgamma(rows.sum(1) + 1)


def likelihoods(cells: Halves, models: dict[str, VAE], asked: argparse.Namespace) -> dict[str, Tensor]:
    """Nats of each held-out cell by every law."""
    from sklearn.cluster import KMeans

    names = np.unique(cells.seen.batch)
    x, batch = cells.seen.x, np.searchsorted(names, cells.seen.batch)
    held, theirs = cells.held.x, np.searchsorted(names, cells.held.batch)
    one, alike = np.zeros(len(x), np.int64), np.zeros_like(batch)
    axes = principal_axes(logged(x), 20)
    found: dict[str, Tensor] = {}
    plain = fitted(x, alike, one)
    found["Poisson"] = fitted(x, alike, one, dispersed=False).log_prob(held, np.zeros_like(theirs))
    found["multinomial"] = multinomial(held, plain.shares[0][np.zeros_like(theirs)])
    found["negative binomial"] = plain.log_prob(held, np.zeros_like(theirs))
    found["negative binomial, by batch"] = fitted(x, batch, one).log_prob(held, theirs)
    cluster = KMeans(asked.clusters, n_init="auto", random_state=0).fit_predict(axes.encode(logged(x)))
    found[f"mixture of {asked.clusters}"] = fitted(x, alike, cluster).log_prob(held, np.zeros_like(theirs))
    found[f"mixture of {asked.clusters}, by batch"] = fitted(x, batch, cluster).log_prob(held, theirs)
    for name, model in models.items():
        model.sampling = replace(model.sampling, draws=asked.draws)
        found[name], effective = model.bounded(*tensors(cells.held, names))
        print(f"  {name}: {float(effective.mean()):.1f} of {asked.draws} codes count")
    return found


def logged(x: Array) -> Array:
    """log(1 + 10,000 shares)."""
    return np.log1p(10_000 * x / x.sum(1, keepdims=True))


def merged(z: Array, other: Array, cells: Halves, seed: int) -> tuple[Array, Array]:
    """Codes of training cells onto the target's, and held-out ones along with the five nearest of their batch."""
    after = merge_arrays(z, cells.seen.batch, reference=cells.seen.target, scores=False, seed=seed).x
    out = other.copy()
    for name in np.unique(cells.held.batch[cells.held.batch != cells.held.target]):
        led, mine = cells.seen.batch == name, cells.held.batch == name
        _, places = nearest(other[mine].astype(np.float64), z[led].astype(np.float64), 5)
        out[mine] = other[mine] + (after[led] - z[led])[places].mean(1)
    return after, out


def merges(cells: Halves, models: dict[str, VAE], seed: int) -> dict[str, dict[str, float]]:
    """Scores of held-out cells before and after, by representation."""
    names = np.unique(cells.seen.batch)
    axes = principal_axes(logged(cells.seen.x), 20)
    codes = {"principal components": (axes.encode(logged(cells.seen.x)), axes.encode(logged(cells.held.x)))}
    for name, model in models.items():
        one, other = (model.encode(*tensors(part, names)).detach().double() for part in (cells.seen, cells.held))
        codes[f"codes of the {name}"] = (one.numpy(), other.numpy())
    held, found = cells.held, dict[str, dict[str, float]]()
    staying = held.batch == held.target
    for name, (z, other) in codes.items():
        for when, (known, x) in ((name, (z, other)), (f"{name}, merged", merged(z, other, cells, seed))):
            scores = integration(x, held.batch, held.kind, reference=held.target, seed=seed)
            there = cells.seen.batch == held.target
            told, _ = transfer(x[~staying], known[there], cells.seen.kind[there])
            scores[TOLD] = float((told == held.kind[~staying]).mean())
            found[when] = scores | {"total": total(scores)}
        shares = [float((held.batch == b).mean()) for b in (held.target, *(b for b in names if b != held.target))]
        floor = split_floor(other[staying], held.kind[staying], shares, seed=seed)
        found[f"{name}, floor"] = floor | {"total": total(floor)}
    return found


def spread(values: Sequence[float], form: Callable[[float], str]) -> str:
    """Mean, and the lowest to the highest of the seeds."""
    return f"{form(float(np.mean(values)))} ({form(min(values))} to {form(max(values))})"


def main(words: Sequence[str] | None = None) -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="pbmc_3batch.npz; toy:counts if not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--code", type=int, default=10)
    parser.add_argument("--prior", default="normal")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--draws", type=int, default=64, help="codes of a cell behind its likelihood")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    threads.use(1)
    cells = toy() if asked.data is None else blood(asked.data)
    nats, scores = list[dict[str, float]](), list[dict[str, dict[str, float]]]()
    for seed in range(asked.seeds):
        begun, parts = time.process_time(), halves(cells, seed)
        models = {"VAE": trained(parts, False, seed, asked), "VAE told the batch": trained(parts, True, seed, asked)}
        print(f"seed {seed}: trained in {time.process_time() - begun:.0f} s of CPU", flush=True)
        each = likelihoods(parts, models, asked)
        nats.append({name: float(value.mean()) for name, value in each.items()})
        base = each["negative binomial"]
        for name, value in each.items():
            gain = value - base
            error = float(gain.std() / math.sqrt(len(gain)))
            print(
                f"  {name:28} {float(value.mean()):9.2f} nats, {float(gain.mean()):+8.2f} ± {error:.2f} beside the "
                "negative binomial",
                flush=True,
            )
        scores.append(merges(parts, models, seed))
        if asked.json is not None:
            said = {name: str(value) for name, value in vars(asked).items()}
            asked.json.write_text(json.dumps({"asked": said, "nats": nats, "scores": scores}, indent=1) + "\n")
    print("\nnats of a held-out cell, mean (lowest to highest) of the seeds")
    for name in nats[0]:
        print(f"  {name:28} {spread([row[name] for row in nats], lambda v: f'{v:.1f}')}")
    print("\nheld-out cells: " + ", ".join(SHOWN))
    for name in scores[0]:
        told = "  ".join(
            spread([row[name].get(key, math.nan) for row in scores], lambda v: f"{v:.2f}") for key in SHOWN
        )
        print(f"  {name:42} {told}")


if __name__ == "__main__":
    main()
