"""A few steps of every untrained flow on as many processes as there are; the first writes where the particles went."""

import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed

from pushforward.flows.drift.flow import DriftFlow
from pushforward.flows.jko import GaussianJKO
from pushforward.flows.kernel_gpa import kale
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.flows.sliced import SlicedFlow
from pushforward.flows.stein import KSDFlow, SteinFlow
from pushforward.geometry import directions, energy, rbf
from pushforward.methods.particles.driver import Particles
from pushforward.parallel.sharing import all_rows, own_rows
from pushforward.randomness import Noise


def main(out: Path) -> None:
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if "RANK" in os.environ else (0, 1)
    start, data = (Noise(seed, dtype=torch.float64).normal(42, 2) for seed in (0, 1))
    along = directions(2, 12, Noise(2, dtype=torch.float64))
    flows = {
        "mmd": MMDFlow(energy()),
        "median": MMDFlow(),
        "kale": kale(penalty=0.05),
        "sinkhorn": SinkhornFlow(0.2, tolerance=1e-9, iterations=2000),
        "sliced": SlicedFlow(Noise(0), along=along),
        "stein": SteinFlow(lambda x: -x),
        "ksd": KSDFlow(lambda x: -x),
        "drift": DriftFlow(memory=1),
        "drift, split": DriftFlow(rbf, (0.5,), "split", unit=1.0, rms=False),
        "jko": GaussianJKO(torch.ones(2), torch.eye(2), 0.1),
    }
    found = {}
    for name, flow in flows.items():
        driver = Particles(flow, start.clone(), 0.1, Noise(3, dtype=torch.float64))
        driver.shard()
        *_, logs = (logs for _, logs in zip(range(3), driver.learn(iter(lambda: own_rows(data + 1), None))))
        found[name] = all_rows(driver.particles).tolist(), float(logs.get("divergence", logs["speed"]))
    if rank == 0:
        out.write_text(json.dumps(found))
    if world > 1:
        distributed.barrier()
        distributed.destroy_process_group()
        os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
