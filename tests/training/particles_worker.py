"""Particles in float64 on as many processes as there are; the first writes where they are and what was logged."""

import gc
import os
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.divergences import KL_LIP, alpha_lip
from pushforward.dynamics.integrate import AdamsBashforth, heun
from pushforward.flows.critic import CriticFlow
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.preconditioned import Preconditioned
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.geometry.kernels import energy
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.nets.lipschitz import critic
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.state import load_state, place, resume_state, weights
from pushforward.types import Flow

HALF = 8  # steps before the checkpoint


def learned(divergence: object, classes: int = 0) -> CriticFlow:
    net = critic(2, width=8, classes=classes).double()
    return CriticFlow(Learner(net, partial(Adam, lr=1e-2)), divergence, steps=3)  # type: ignore[arg-type]


def build(case: str) -> tuple[Particles, Batches]:
    """A method, and batches of 24 rows of data."""
    torch.manual_seed(0)
    x, start = torch.randn(60, 2).double() + 2, torch.randn(30, 2).double()
    flows: dict[str, Flow] = {
        "critic": learned(KL_LIP),
        "alpha": Preconditioned(learned(alpha_lip(2)), lambda x, v: v / 2),
        "classes": learned(KL_LIP, classes=3),
        "mmd": MMDFlow(energy()),
        "sinkhorn": SinkhornFlow(tolerance=1e-9),
    }
    options: dict = {
        "critic": {"warmup": 5, "record": 4, "held": lambda: x[:7], "until": Until(kinetic=0.25, window=5)},
        "alpha": {"scheme": AdamsBashforth(3), "tracers": start[:4] - 1},
        "classes": {"labels": torch.arange(30) % 3, "scheme": heun, "refit": True},
        "mmd": {"record": True, "scheme": AdamsBashforth(2)},
        "sinkhorn": {"held": lambda: x[:7]},
    }[case]
    method = Particles(flows[case], start, 0.1, Noise(1, dtype=torch.float64), diagnose=1, **options)
    labels = {"labels": torch.arange(60) % 3} if case == "classes" else {}
    return method, Batches(x, 24, seed=3, **labels)


def go(method: Particles, batches: Batches, steps: int) -> list[dict[str, Tensor]]:
    logs = method.learn(batches, start=int(method.done))
    return [{name: value.double() for name, value in each.items()} for _, each in zip(range(steps), logs)]


def main(out: Path, case: str) -> None:
    torch.set_num_threads(1)
    placement = Placement.find("cpu")
    work(out, case, placement)
    if placement.world > 1:
        gc.collect()  # what still holds the group's threads would end them too late, and the process with them
        distributed.barrier()
        distributed.destroy_process_group()
        os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


def work(out: Path, case: str, placement: Placement) -> None:
    def placed() -> tuple[Particles, Batches]:
        method, batches = build(case)
        place(method, placement)
        batches.place(placement)
        return method, batches

    method, batches = placed()
    logs = go(method, batches, HALF)
    saved = deepcopy((weights(method), resume_state(method), batches.state_dict()))
    if placement.world > 1:  # every process goes on from what the first one saved
        box = [saved]
        distributed.broadcast_object_list(box)
        saved = box[0]
    logs += go(method, batches, 100 if method.until.kinetic else HALF)
    resumed, again = placed()
    load_state(resumed, saved[0], saved[1])
    again.load_state_dict(saved[2])
    go(resumed, again, 100 if method.until.kinetic else HALF)
    final, other = weights(method), weights(resumed)
    same = torch.tensor(float(all(torch.equal(final[name], other[name]) for name in final)))
    stopped = torch.tensor(float(int(method.done)))
    if placement.world > 1:
        distributed.all_reduce(same, distributed.ReduceOp.MIN)
        distributed.all_reduce(stopped, distributed.ReduceOp.MIN)
    if placement.writes:
        columns = {f"logs.{name}": torch.stack([each[name] for each in logs]) for name in logs[0]}
        torch.save(final | columns | {"resumed": same, "least done": stopped}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
