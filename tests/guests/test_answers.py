"""A guest whose answers are of another kind than asked for: what can be used is, the rest is named in one line."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from guests.commands import call

from pushforward.errors import TrainingError
from pushforward.randomness import stream
from pushforward.recipes import locate
from pushforward.training.asking import samples_of
from pushforward.training.loop import checked

NAME = "an_answering_guest"
LINES = '''
from dataclasses import dataclass

import numpy as np
import torch

from pushforward.data import Batches, load
from pushforward.training.experiment import Experiment

ANSWERS = {}


@dataclass
class Still:
    """Rows of its own, and whatever number it is told to log."""

    rows: torch.Tensor
    log: object
    answer: object

    def learn(self, batches, start=0):
        for _ in batches:
            if self.answer == "grown":
                self.rows = torch.cat([self.rows, self.rows[:1]])
            yield {"gap": self.log}

    def sample(self, n, rng=None, labels=None):
        x = self.rows[torch.arange(n) % len(self.rows)]
        return x if self.answer in ("right", "grown") else eval(self.answer)


def still(*, log: str = "1.5", answer: str = "right", steps: int = 4, data: str = "x.npy"):
    """Nothing moves."""
    points = load(data, seed=0)
    method = Still(points.train[:50].clone(), eval(log), answer)
    return Experiment(method, Batches(points.train, 16, seed=0), points, steps, threads=1)


def three():
    """Returns a number."""
    return 3


def nothing(*, steps: int = 4):
    """Returns nothing."""


def calling(*, f=lambda: 0, steps: int = 4):
    """Has a function for an option."""
    raise AssertionError("called")


def filled(*, steps: int = 4, start=torch.zeros(2)):
    """Has a tensor for an option."""
    raise AssertionError("called")
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the guest and a table."""
    (tmp_path / f"{NAME}.py").write_text(LINES)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(200, 2)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part not in ("", os.getcwd())])
    yield tmp_path
    sys.modules.pop(NAME, None)


def train(capsys: pytest.CaptureFixture[str], recipe: str, *words: object) -> tuple[int, str]:
    """Train one of the guest's recipes; exit code and standard error."""
    code, _, err = call(capsys, "train", f"{NAME}:{recipe}", *words, "--run", "run", "--trust", NAME)
    return code, err


NUMBERS = [1.5, np.float32(1.5), np.float64(1.5), np.array(1.5), torch.tensor(1.5), torch.tensor(1.5).double()]


@pytest.mark.parametrize("value", [*NUMBERS, torch.tensor(1.5, requires_grad=True)])
def test_numbers_of_every_kind_are_the_same_number(value):
    assert checked({"a": value, "b": torch.tensor(2.0), "c": value}, 1) == {"a": 1.5, "b": 2.0, "c": 1.5}
    assert list(checked({"b": value, "a": torch.tensor(2)}, 1)) == ["b", "a"]


@pytest.mark.parametrize("value", [3, np.int64(3), torch.tensor(3)])
def test_whole_numbers_and_truths_are_numbers(value):
    assert checked({"a": value, "b": True, "c": torch.tensor(True)}, 1) == {"a": 3.0, "b": 1.0, "c": 1.0}
    assert checked({}, 1) == checked(None, 1) == {}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("1.5", "a str"),
        (None, "a NoneType"),
        ([1.5], "a list"),
        (np.ones(2), "a ndarray of shape (2,)"),
        (torch.ones(2, 1), "a tensor of shape (2, 1)"),
        (torch.tensor(1j), "a complex tensor of shape ()"),
    ],
)
def test_what_is_no_number_is_named_with_its_kind(value, what):
    with pytest.raises(TrainingError, match=r"^step 7: gap is ") as caught:
        checked({"loss": torch.tensor(1.0), "gap": value}, 7)
    assert f"gap is {what}, not a number; yield" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), torch.tensor(-torch.inf)])
def test_a_number_that_is_not_finite_is_refused_whatever_its_kind(value):
    with pytest.raises(TrainingError, match=r"step 7: gap is (nan|inf|-inf)"):
        checked({"gap": value}, 7)


def test_what_is_no_dictionary_is_named():
    with pytest.raises(TrainingError, match="step 2: the method yielded a float; yield a dictionary"):
        checked(1.5, 2)  # pyright: ignore[reportArgumentType]


def test_a_method_may_log_floats_and_a_word_ends_its_run_in_one_line(folder, capsys):
    code, err = train(capsys, "still", "--data", "x.npy", "--log", "1.5")
    assert code == 0, err
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert {line["gap"] for line in lines if "gap" in line} == {1.5}
    (folder / "run").rename(folder / "other")
    code, err = train(capsys, "still", "--data", "x.npy", "--log", "'high'")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: step 1: gap is a str, not a number; ")
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(("recipe", "what"), [("three", "int"), ("nothing", "None")])
def test_a_recipe_that_returns_no_experiment_says_so(folder, capsys, recipe, what):
    code, err = train(capsys, recipe)
    assert code == 2
    assert err.startswith(f"error: recipe '{NAME}:{recipe}' returned {what}, not an Experiment; ")
    assert err.count("\n") == 1
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "option", "kind"), [("calling", "--f", "function"), ("filled", "--start", "Tensor")]
)
def test_an_option_that_a_run_cannot_keep_is_refused_before_work(folder, capsys, recipe, option, kind):
    code, err = train(capsys, recipe)
    assert code == 2
    assert f"recipe '{NAME}:{recipe}': the default of {option} is a {kind}, which run.json cannot hold" in err
    assert err.count("\n") == 1
    assert not Path("run").exists()


def test_a_module_that_ends_the_program_is_no_guest(folder, capsys):
    (folder / "an_ending_guest.py").write_text("x = 1\nraise SystemExit(7)\n")
    code, _, err = call(capsys, "train", "an_ending_guest:x", "--trust", "an_ending_guest:x")
    assert code == 2
    assert err.count("\n") == 1
    assert f"cannot be imported (SystemExit: 7, at {folder / 'an_ending_guest.py'}:2)" in err


ANSWERS = [
    ("None", "None"),
    ("x.tolist()", "a list"),
    ("x.numpy()", "a ndarray of shape (7, 2)"),
    ("x[:-1]", "a tensor of shape (6, 2)"),
    ("x[:, 0]", "a tensor of shape (7,)"),
    ("x[:, [0, 1, 1]]", "a tensor of shape (7, 3)"),
    ("x + 1j", "a tensor of complex64"),
    ("x.long()", "a tensor of int64"),
    ("x.index_fill(0, torch.tensor([2, 4]), torch.nan)", "2 that are not finite"),
    ("x.index_fill(0, torch.tensor([0]), torch.inf)", "1 that are not finite"),
]


@pytest.mark.parametrize(("answer", "what"), ANSWERS)
def test_samples_of_another_kind_are_never_written(folder, answer, what):
    sys.path.insert(0, str(folder))
    recipe = locate(f"{NAME}:still", [NAME])
    assert samples_of(recipe(), 7, stream(0, "sample")).shape == (7, 2)
    asked = re.escape(f"Still.sample: asked for 7 samples of shape (2,), got {what}; ")
    with pytest.raises(TrainingError, match=asked) as caught:
        samples_of(recipe(answer=answer), 7, stream(0, "sample"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", ["x[:-1]", "None"])
def test_commands_end_in_one_line_where_a_method_answers_wrongly(folder, capsys, answer):
    code, err = train(capsys, "still", "--data", "x.npy", "--answer", answer)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: Still.sample: asked for 1000 samples of shape (2,), got ")
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "failed"
    for words in (["sample", "run", "-n", 7, "--out", "x.npz"], ["evaluate", "run"]):
        code, _, err = call(capsys, *words, "--trust", NAME)
        assert code == 1
        assert "samples of shape (2,), got " in err
        assert err.count("\n") == 1
    assert not (folder / "x.npz").exists()


def test_samples_that_carry_gradients_are_samples(folder, capsys):
    assert train(capsys, "still", "--data", "x.npy", "--answer", "x.requires_grad_()")[0] == 0
    assert call(capsys, "sample", "run", "-n", 7, "--out", "x.npz", "--trust", NAME)[0] == 0


def test_a_method_that_grew_and_cannot_restore_says_what_it_needs(folder, capsys):
    assert train(capsys, "still", "--data", "x.npy", "--answer", "grown")[0] == 0
    for words in (["sample", "run", "-n", 7, "--out", "x.npz"], ["train", f"{NAME}:still", "--run", "run", "--resume"]):
        code, _, err = call(capsys, *words, "--trust", NAME)
        assert code == 3
        assert "tensor rows should have shape (50, 2) but is of shape (54, 2)" in err
        assert "needs restore(step) (docs/guests.md)" in err
        assert err.count("\n") == 1
