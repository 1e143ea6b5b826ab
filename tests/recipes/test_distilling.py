"""Bridges distilled into one call, from the options of a recipe to samples of each of its models."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
import torch

from pushforward.cli import main
from pushforward.errors import UsageError
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.methods.latent.distilled import Distilled
from pushforward.methods.sources import OnePass
from pushforward.randomness import Noise
from pushforward.recipes.bridges import bridge_digits, bridge_toy
from pushforward.training.loop import train
from pushforward.training.state import load_state, restore, resume_state, weights
from pushforward.types import able

TINY = {"steps": 3, "distil_steps": 2, "refine_steps": 2, "pairs": 40, "pair_steps": 3, "width": 8, "critic_width": 8}


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(map(same, one, other)) if isinstance(one, list | tuple) else one == other


@pytest.mark.parametrize("recipe", [partial(bridge_toy, batch=8), partial(bridge_digits, conditional=True)])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_a_run_is_resumed_bit_for_bit_at_and_between_the_ends_of_its_stages(recipe, k):
    whole, first, again = recipe(**TINY), recipe(**TINY), recipe(**TINY)
    assert whole.steps == 7
    for _ in train(whole):
        pass
    for _, _ in zip(range(k), train(first)):
        pass
    buffer = io.BytesIO()
    torch.save([weights(first.method), resume_state(first.method), first.batches.state_dict()], buffer)
    buffer.seek(0)
    tensors, state, position = torch.load(buffer, weights_only=True)
    restore(again.method, k, tensors)
    load_state(again.method, tensors, state)
    again.batches.load_state_dict(position)
    for _ in train(again, k):
        pass
    assert same(weights(again.method), weights(whole.method))
    assert same(resume_state(again.method), resume_state(whole.method))


def test_without_distillation_nothing_is_wrapped_and_refining_nothing_is_refused():
    assert isinstance(bridge_toy(steps=2).method, Bridge)
    with pytest.raises(UsageError, match="--refine-steps 5 without a generator: give --distil-steps"):
        bridge_toy(steps=2, refine_steps=5)


def test_a_generator_of_points_starts_at_the_normal_law_of_the_data():
    method = bridge_toy(**TINY).method
    assert isinstance(method, Distilled)
    run = bridge_toy(**TINY)
    with torch.no_grad():
        x = method.generator.net(Noise(0).normal(20_000, 2))
    torch.testing.assert_close(x.mean(0), run.data.train.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(torch.cov(x.T), torch.cov(run.data.train.T), rtol=0, atol=0.05)


@pytest.mark.parametrize("recipe", [bridge_toy, bridge_digits])
def test_the_checkpoint_of_a_distilled_run_holds_each_net_once_and_the_pairs(recipe):
    method = recipe(**TINY).method
    held = {name.split(".")[0] for name in weights(method)}
    assert held == {"generator", "starts", "ends", "teacher", "refined"}
    assert able(method, OnePass)


def call(*words: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert not stop.value.code, words


def test_samples_of_each_model_of_a_run_are_drawn_by_name(tmp_path, capsys):
    options = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", value)]
    run, out = tmp_path / "run", tmp_path / "x.npz"
    call("train", "bridge_toy", *options, "--batch", 8, "--run", run, "--json")
    assert "40 pairs of the teacher" in capsys.readouterr().out
    drawn = {}
    for model in ("last", "teacher", "generator", "refined"):
        call("sample", run, "-n", 20, "--sampling.model", model, "--out", tmp_path / f"{model}.npz")
        drawn[model] = np.load(tmp_path / f"{model}.npz")["x"]
    assert np.array_equal(drawn["last"], drawn["refined"])
    for one, other in (("teacher", "generator"), ("generator", "refined"), ("teacher", "refined")):
        assert not np.allclose(drawn[one], drawn[other])
    few = ["sample", run, "-n", 20, "--sampling.second-steps", 3]
    call(*few, "--sampling.model", "teacher", "--out", tmp_path / "few.npz")  # settings of the teacher's own
    assert not np.allclose(np.load(tmp_path / "few.npz")["x"], drawn["teacher"])
    capsys.readouterr()
    for words in (few, [*few, "--sampling.model", "generator"]):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in [*words, "--out", tmp_path / "none.npz"]])
        assert stop.value.code == 2
        assert "other settings are the teacher's; give model teacher with them" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(run), "-n", "2", "--sampling.wrong", "3", "--out", str(out)])
    assert stop.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "has no such setting; it has model (" in said
    assert "second_steps (int" in said
    with pytest.raises(SystemExit) as stop:
        main(["transport", str(run), f"{tmp_path / 'last.npz'}:x", "--out", str(out)])
    assert stop.value.code
    assert "carries no points" in " ".join(capsys.readouterr().err.split())
