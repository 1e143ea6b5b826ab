"""A run on a device without float64 (Metal) asks for none: placed, trained, stored, loaded and sampled."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pushforward.options import defaults
from pushforward.parallel import doubles
from pushforward.parallel.placement import Placement
from pushforward.randomness import stream
from pushforward.recipes import RECIPES
from pushforward.training.loop import train
from pushforward.training.state import load_state, parts, place, restore, resume_state, weights


class Refusing(TorchDispatchMode):
    """Refuses every operation that makes float64, as such a device does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.lift_fresh.default:  # numbers of numpy, on their way from the host
            return out
        for one in out if isinstance(out, (list, tuple)) else [out]:
            if isinstance(one, torch.Tensor) and one.dtype == torch.float64:
                raise TypeError(f"{func} makes float64, which this device has not")
        return out


SMALL = {"data": "toy:gaussians2", "steps": 3, "batch": 20, "seed": 0}
CLOUD = {"particles": 20}
CRITIC = CLOUD | {"width": 8, "warmup": 1}
FLOWS = ("sinkhorn", "sliced", "mmd", "energy", "kale", "kernel_gpa", "drift", "svgd", "ksd", "langevin", "metropolis")
WAYS = [
    ("toy_particles", CRITIC),
    ("toy_particles", CRITIC | {"scheme": "ab2"}),
    ("toy_vgrow", {"width": 8}),
    *(("flow_particles", CLOUD | {"flow": flow}) for flow in FLOWS),
]


@pytest.mark.parametrize(("recipe", "own"), WAYS, ids=str)
def test_nothing_of_a_run_is_float64_where_the_device_has_none(recipe, own, monkeypatch):
    monkeypatch.setattr(doubles, "WITHOUT", ("cpu",))
    experiment, again = (RECIPES[recipe](**(defaults(recipe) | SMALL | own)) for _ in range(2))
    for one in (experiment, again):
        place(one.method, Placement())
        kinds = {name: part.dtype for name, part in parts(one.method) if isinstance(part, torch.Tensor)}
        assert torch.float64 not in kinds.values(), kinds
    with Refusing():
        for _ in train(experiment, 0):
            pass
    stored = weights(experiment.method)  # as another device would have stored them
    stored = {name: value.double() if value.is_floating_point() else value for name, value in stored.items()}
    with Refusing():
        restore(again.method, 3, stored)
        load_state(again.method, stored, resume_state(experiment.method))
        again.method.sample(5, stream(0, "sample"))


def test_a_tape_whose_first_steps_have_more_stages_is_whole_and_one_with_a_hole_is_not():
    made = defaults("toy_particles") | SMALL | CRITIC | {"scheme": "ab2"}
    experiment, again, broken = (RECIPES["toy_particles"](**made) for _ in range(3))
    for _ in train(experiment, 0):
        pass
    stored = weights(experiment.method)
    stages = [len({name.split(".")[2] for name in stored if name.startswith(f"tape.{k}.")}) for k in range(3)]
    assert stages[0] > stages[1] == stages[2]  # a step of Runge and Kutta begins
    restore(again.method, 3, stored)
    load_state(again.method, stored, resume_state(experiment.method))
    assert {name: value.tolist() for name, value in weights(again.method).items()} == {
        name: value.tolist() for name, value in stored.items()
    }
    restore(broken.method, 3, stored)
    hole = {name: value for name, value in stored.items() if name != "tape.0.1.head.bias"}
    with pytest.raises(ValueError, match="do not all hold the same tensors"):
        load_state(broken.method, hole, resume_state(experiment.method))
