"""Twenty steps of VGrow in float64 on as many processes as there are; the first writes the weights."""

import os
import sys
from functools import partial
from pathlib import Path

import torch
from torch import distributed
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.divergences import locate
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import VGrow
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.objectives.penalties import both, lipschitz
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.state import place, weights


def main(out: Path, pool: int, moves: int, classes: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    placement = Placement.find("cpu")
    x, labels = torch.randn(200, 3, dtype=torch.float64) + 1, torch.arange(200) % max(classes, 1)
    optimiser, rng = partial(Adam, lr=1e-2, betas=(0.5, 0.9)), Noise(1, dtype=torch.float64)
    generator = Learner(mlp.generator(2, 3, width=16, classes=classes).double(), optimiser, ema=0.9)
    critic = Learner(mlp.critic(3, width=16, classes=classes).double(), optimiser)
    flow = CriticFlow(critic, locate("JEFFREYS"), penalties=(partial(lipschitz, rng=rng), both), steps=2)
    method = VGrow(generator, flow, normal(2), rng, pool=pool, moves=moves, fits=2)
    batches = Batches(x, 32, seed=3, labels=labels) if classes else Batches(x, 32, seed=3)
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
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
