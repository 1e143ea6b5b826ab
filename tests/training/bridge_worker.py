"""Twenty steps of a conditional bridge with a ratio, in float64, on as many processes as there are."""

import os
import sys
from functools import partial
from pathlib import Path

import torch
from torch import distributed
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.nets import mlp
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, centred
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.state import place, weights


def main(out: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    placement = Placement.find("cpu")
    x, labels = torch.randn(200, 3, dtype=torch.float64) + 1, torch.arange(200) % 3
    adam, rng = partial(Adam, lr=1e-2), Noise(1, dtype=torch.float64)
    net = Preconditioned(perceptron(3, width=16, classes=3, waves=4), *centred(x)).double()
    ratio = Learner(mlp.critic(3, width=16).double(), adam)
    method = Bridge(Diffusion(Learner(net, adam, ema=0.9), rng), ratio=ratio)
    batches = Batches(x, 32, seed=3, labels=labels)
    place(method, placement)
    batches.place(placement)
    steps = method.learn(batches)
    for _ in range(20):
        next(steps)
    if placement.writes:
        torch.save(weights(method), out)
    if placement.world > 1:
        distributed.barrier()
        distributed.destroy_process_group()
        os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


if __name__ == "__main__":
    main(Path(sys.argv[1]))
