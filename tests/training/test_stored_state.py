"""A stored state of training is of the types and shapes that its optimiser keeps, or is refused when it is loaded."""

from __future__ import annotations

import copy
import shutil
from functools import partial
from unittest import mock

import pytest
import torch
from torch import nn
from torch.optim import Adam

from pushforward.commands.rebuilding import rebuild
from pushforward.commands.training import train
from pushforward.errors import DataError, of_memory
from pushforward.options import defaults
from pushforward.randomness import stream
from pushforward.settings.running import Running
from pushforward.training import checkpoint
from pushforward.training.learner import Learner


def learner() -> Learner:
    torch.manual_seed(0)
    mine = Learner(nn.Linear(3, 1), partial(Adam, lr=0.1))
    mine.descend(mine(torch.ones(4, 3)).square().mean())
    return mine


def test_a_state_goes_round():
    mine, other = learner(), learner()
    other.load_resume_state(mine.resume_state())
    assert other.updates == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(updates="1"),
        lambda state: state.update(updates=-1),
        lambda state: state.update(updates=2**70),
        lambda state: state["optimiser"]["state"][0].update(exp_avg=torch.zeros(2, 2)),
        lambda state: state["optimiser"]["state"][0].pop("exp_avg_sq"),
        lambda state: state["optimiser"]["param_groups"][0].update(betas=("x", 0.9)),
        lambda state: state["optimiser"]["param_groups"][0].update(betas=[0.9]),
        lambda state: state["optimiser"]["param_groups"][0].update(eps=None),
        lambda state: state["optimiser"]["param_groups"][0].pop("weight_decay"),
        lambda state: state["optimiser"].update(param_groups={}),
        lambda state: state["optimiser"].update(state=[]),
        lambda state: state["optimiser"]["state"].update({0: 3}),
        lambda state: state["optimiser"]["state"].update(x={}),
        lambda state: state["optimiser"]["state"][0].update(step="x"),
        lambda state: state.update(optimiser=None),
        lambda state: state.pop("updates"),
    ],
)
def test_a_state_of_other_types_or_shapes_is_refused_at_once(spoil):
    state = copy.deepcopy(learner().resume_state())
    spoil(state)
    with pytest.raises(ValueError, match=r"\w"):
        learner().load_resume_state(state)


@pytest.mark.parametrize("stored", [None, [], torch.zeros(3), torch.zeros(5056, dtype=torch.uint8)])
def test_so_is_the_state_of_a_random_stream(stored):
    noise = stream(0, "train")
    with pytest.raises(ValueError, match="random stream"):
        noise.load_state_dict({"generator": stored})
    noise.load_state_dict(stream(1, "train").state_dict())


FULL = [
    MemoryError("Unable to allocate 7.45 GiB"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    small = {"data": "toy:moons", "steps": 2, "batch": 20, "width": 8}
    return train("toy_vgrow", defaults("toy_vgrow") | small, folder, Running(threads=1, minutes=1e-9)).run.folder


@pytest.mark.parametrize("error", [*FULL, TypeError("a mistake"), AttributeError("of ours")], ids=repr)
def test_neither_a_full_memory_nor_a_mistake_of_ours_is_told_as_a_run_that_does_not_fit(error, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    arguments = defaults("toy_vgrow") | {"data": "toy:moons", "steps": 2, "batch": 20, "width": 8}
    with mock.patch.object(Learner, "load_state_dict", side_effect=error):
        with pytest.raises(type(error)) as caught:
            rebuild(tmp_path / "run")
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            train("toy_vgrow", arguments, tmp_path / "run", Running(threads=1, resume=True))
        assert caught.value is error
    assert of_memory(error) == (error in FULL)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("resume", [False, True])
def test_what_the_system_does_not_give_is_not_told_as_damaged(error, resume, tmp_path):
    checkpoint.save(tmp_path / "last", {"x": torch.zeros(3)}, {}, {"step": 0})
    where = mock.patch.object(checkpoint, "safe_open", side_effect=error)
    if resume:
        where = mock.patch.object(checkpoint.Path, "read_bytes", side_effect=error)
    with where, pytest.raises(DataError, match=f"{error.strerror}.*it may be whole: see to its permissions") as caught:
        checkpoint.load(tmp_path / "last", resume=resume)
    assert "damaged" not in str(caught.value)
    assert "train" not in str(caught.value)


@pytest.mark.parametrize("run", [[], 3, "x", None])
def test_a_checkpoint_whose_run_is_no_object_is_damaged_though_its_digest_is_right(run, tmp_path):
    checkpoint.save(tmp_path / "last", {"x": torch.zeros(3)}, {}, run)
    with pytest.raises(DataError, match="not an object"):
        checkpoint.load(tmp_path / "last", resume=False)


@pytest.mark.parametrize("state", [[], 3, "x", None, torch.zeros(3)])
def test_so_is_one_whose_state_is_no_dictionary(state, tmp_path):
    checkpoint.save(tmp_path / "last", {"x": torch.zeros(3)}, state, {"step": 0})
    with pytest.raises(DataError, match="not a dictionary"):
        checkpoint.load(tmp_path / "last")


@pytest.mark.parametrize("step", [None, -1, "1", 1.0, True])
def test_a_checkpoint_that_does_not_say_at_which_step_it_stands_is_refused(step, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints" / "last"
    saved = checkpoint.load(folder)
    said = {name: value for name, value in saved.run.items() if name != "step"} | (
        {} if step is None else {"step": step}
    )
    checkpoint.save(folder, saved.weights, saved.resume, said)
    with pytest.raises(DataError, match="not a count"):
        rebuild(tmp_path / "run")
