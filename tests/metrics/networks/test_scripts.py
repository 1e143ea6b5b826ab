"""How feature networks are trained: the loop that the scripts share, and a file that one of them writes."""

import hashlib
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pushforward.errors import DataError
from pushforward.metrics.networks import load_network

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def classifying(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("classifying")


@pytest.fixture
def halves():
    """Points in the plane, and on which side of a line each lies."""
    x = torch.randn(256, 2)
    return x, (x[:, 0] > 0).long()


def trained(classifying, x, y, plan, rate=0.1):
    network = classifying.fresh(lambda: nn.Linear(2, 2), plan.seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    rates = []
    optimiser.register_step_pre_hook(lambda optimiser, *_: rates.append(optimiser.param_groups[0]["lr"]))
    losses = list(classifying.fit(lambda x, rng: network(x), x, y, optimiser, plan, warm=0.25))
    return network, losses, rates


def test_fitting_finds_two_halves_and_its_loss_falls(classifying, halves):
    network, losses, _ = trained(classifying, *halves, classifying.Plan(6, 32, 0))
    assert classifying.accuracy(network, *halves) > 0.97
    assert losses[-1] < losses[0] / 2
    assert len(losses) == 6


def test_the_rate_of_the_optimiser_is_the_highest_of_one_cycle(classifying, halves):
    plan = classifying.Plan(5, 32, 0)
    *_, rates = trained(classifying, *halves, plan, rate=0.3)
    top = int(np.argmax(rates))
    assert len(rates) == 5 * (256 // 32)
    assert max(rates) == pytest.approx(0.3)
    assert top == 0.25 * len(rates) - 1
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_one_seed_gives_one_network_whatever_was_drawn_before(classifying, halves):
    plan = classifying.Plan(1, 32, 4)
    first = trained(classifying, *halves, plan)[0].weight
    drawn = torch.get_rng_state()
    assert trained(classifying, *halves, plan)[0].weight.equal(first)
    assert torch.get_rng_state().equal(drawn)
    assert not trained(classifying, *halves, classifying.Plan(1, 32, 5))[0].weight.equal(first)


def test_a_window_holds_the_rows_and_columns_that_are_named(classifying):
    padded = torch.randn(3, 2, 6, 7)
    rows, columns = torch.randint(0, 6, (3, 4)), torch.randint(0, 7, (3, 4))
    wanted = torch.stack([image[:, r][:, :, c] for image, r, c in zip(padded, rows, columns)])
    assert classifying.moved(padded, rows, columns).equal(wanted)


@pytest.mark.slow
def test_a_script_writes_weights_that_are_found_again(tmp_path):
    rng = np.random.default_rng(0)
    parts = {f"x_{split}": rng.integers(0, 256, (40, 28, 28), dtype=np.uint8) for split in ("train", "test")}
    np.savez(tmp_path / "data.npz", **parts, y_train=rng.integers(0, 10, 40), y_test=rng.integers(0, 10, 40))
    words = [SCRIPTS / "train_lenet.py", tmp_path / "data.npz", tmp_path / "out.safetensors", "--epochs", "1"]
    said = subprocess.run([sys.executable, *words, "--batch", "20"], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256((tmp_path / "out.safetensors").read_bytes()).hexdigest()
    assert said.rstrip().endswith(f"sha256 {digest}")
    space = load_network(tmp_path / "out.safetensors")
    assert space.id == f"lenet-{digest[:8]}"
    assert space(torch.rand(3, 1, 28, 28)).shape == (3, 128)


def test_the_script_of_the_bundled_network_writes_weights_that_are_found_again(tmp_path, monkeypatch, classifying):
    monkeypatch.setattr(sys, "argv", ["train_digits8.py", "--epochs", "0", "--out", str(tmp_path / "mine.safetensors")])
    script = importlib.import_module("train_digits8")
    monkeypatch.setattr(script, "train", lambda x, y, plan: classifying.fresh(script.Digits8, plan.seed).eval())
    script.main()
    space = load_network(tmp_path / "mine.safetensors")
    assert space.id == f"digits8-{hashlib.sha256((tmp_path / 'mine.safetensors').read_bytes()).hexdigest()[:8]}"
    save_file(load_file(tmp_path / "mine.safetensors"), tmp_path / "old.safetensors", {"recipe": "seed 0, epochs 40"})
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(load_network(tmp_path / "old.safetensors")(x), space(x))
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", {"recipe": "seed 0, epochs 40"})
    with pytest.raises(DataError, match="no weight file of Digits8"):
        load_network(tmp_path / "other.safetensors")
