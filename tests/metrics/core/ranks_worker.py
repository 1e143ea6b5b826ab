"""Measures on as many processes as there are; the first writes what it found."""

import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn

from pushforward.metrics import evaluate
from pushforward.metrics.core.features import of_module
from pushforward.metrics.quality.frechet import Moments, moments
from pushforward.metrics.suite import PARTS
from pushforward.parallel import sharing


def samples(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + shift


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh())


def main(out: Path) -> None:
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    rank, world = sharing.place()
    fake, real, train = samples(2500, 0, 0.2), samples(2300, 1), samples(4000, 2)
    bounds = [0, 700, 2500] if world == 2 else [0, 2500]  # shards of unlike sizes
    shard = fake[bounds[rank] : bounds[rank + 1]]
    own = moments(shard + 1000.0)
    whole = sharing.merge(
        own, lambda m: (torch.tensor(m.n), m.mean, m.scatter), lambda t: Moments(int(t[0]), t[1], t[2])
    )
    net = network()
    space = of_module("net", net, 8, classify=lambda x: net(x)[:, :4])
    names = [name for name in PARTS if PARTS[name].needs <= {"train", "classifier"} and name not in ("deep", "limit")]
    found = evaluate(
        sharing.gather(shard), real, train=train, features=space, metrics=[PARTS[name] for name in names], max_n=300,
        permutations=50, together=True,
    )  # fmt: skip
    if rank == 0:
        record = {name: [m.value, m.floor, m.se, m.p, m.n_fake] for name, m in found.items()}
        detail = {name: {k: v.double().sum().item() for k, v in m.detail.items()} for name, m in found.items()}
        sums = [whole.n, whole.mean.tolist(), whole.scatter.tolist()]
        out.write_text(json.dumps({"metrics": record, "detail": detail, "moments": sums, "names": list(found)}))
    if world > 1:
        sharing.leave()
        os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
