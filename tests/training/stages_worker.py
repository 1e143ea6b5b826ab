"""Stages with growth, and a pupil of particles, on as many processes as there are: whole, and cut off at each step."""

import gc
import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from staged import ADAM, DATA, Growing, layers

from pushforward.data import Batches
from pushforward.flows.critic import CriticFlow
from pushforward.methods.latent.distilled import Distilled
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.parallel import sharing
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.state import load_state, place, restore, resume_state, weights

STEPS = 10


def taught(seed: int) -> Distilled:
    with seeded(seed):
        critic = Learner(mlp.critic(2, width=8, depth=1).double(), ADAM)
        generator = Learner(layers(2, 6, 2, seed=seed), ADAM, ema=0.9)
    starts = Noise(3, dtype=torch.float64).normal(12, 2)
    teacher = Particles(CriticFlow(critic, steps=2), starts.clone(), 0.2, Noise(seed), record=True)
    rng = Noise(seed + 1, dtype=torch.float64)
    return Distilled(generator, starts, starts, normal(2), rng, batch=6, teacher=teacher, lessons=5)


CASES = {"growing": lambda seed: Growing(seed, grown=9, tired=4), "taught": taught}


def opened(case: str, seed: int, placement: Placement) -> tuple[Any, Batches]:
    method, batches = CASES[case](seed), Batches(DATA, 8, seed=2)
    place(method, placement)
    batches.place(placement)
    return method, batches


def run(method: Any, batches: Batches, steps: int, start: int = 0) -> None:
    for _, _ in zip(range(steps), method.learn(batches, start)):
        pass


def main(out: Path, case: str, every: int) -> None:
    torch.set_num_threads(1)
    placement = Placement.find("cpu")
    method, batches = opened(case, 0, placement)
    run(method, batches, STEPS)
    wanted = weights(method)
    for k in range(1, STEPS, every):
        first, batches = opened(case, 0, placement)
        run(first, batches, k)
        kept = deepcopy((weights(first), resume_state(first), batches.state_dict()))
        again, batches = opened(case, 5, placement)
        restore(again, k, kept[0])
        load_state(again, kept[0], kept[1])
        batches.load_state_dict(kept[2])
        run(again, batches, STEPS - k, k)
        found = weights(again)
        assert found.keys() == wanted.keys(), k
        assert all(torch.equal(found[name], wanted[name]) for name in wanted), k
    if placement.writes:
        torch.save(wanted, out)
    if placement.world > 1:
        del method, first, again  # what still holds the group would end it too late
        gc.collect()
        sharing.leave()
        os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
