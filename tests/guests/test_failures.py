"""A guest that raises is named in one line, with its error and its own file and line; nothing else is blamed on it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from guests.commands import call

from pushforward import guests
from pushforward.training.folder.opening import unfit

NAME = "a_failing_guest"
LINES = '''
import os
from dataclasses import replace

import between_for_failures as between
from pushforward.divergences import KL

TABLE = {}


def metric(fake, real):
    """A metric that looks up what is not there."""
    return TABLE["nowhere"]  # the metric's line


def constant(fake, real):
    return 1.0


def one(fake):
    return 1.0


def none(x):
    return x[:, :0]


def infinite(d):
    raise RuntimeError("no weight\\nto be had")  # the divergence's line


SOFT = replace(KL, name="SOFT", log_weight=infinite)


def experiment(*, data: str = "", sources: str = "", steps: int = 4, batch: int = 16, fail: int = 0):
    """A recipe that fails where it is told to."""
    if os.environ.get("GUEST_FAILS") == "wiring":
        return TABLE[sources]  # the recipe's line
    made = between.experiment(data=data, sources=sources, steps=steps, batch=batch)
    learn, sample = made.method.learn, made.method.sample

    def learning(batches, start=0):
        for k, logs in enumerate(learn(batches, start)):
            if fail and k + start == fail:
                raise IndexError("out of steps")  # the method's line
            yield logs

    def drawing(*given):
        if os.environ.get("GUEST_FAILS") == "sampling":
            raise OSError(2, "No such file", "my_table.npy")  # the sampler's line
        return sample(*given)

    made.method.learn, made.method.sample = learning, drawing
    return made
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the guest and two tables."""
    (tmp_path / "between_for_failures.py").write_text((Path(__file__).parent / "between.py").read_text())
    (tmp_path / f"{NAME}.py").write_text(LINES)
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(len(name)).normal(size=(200, 2)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part not in ("", os.getcwd())])
    yield tmp_path
    for name in (NAME, "between_for_failures"):
        sys.modules.pop(name, None)


def at(folder: Path, words: str) -> str:
    """Where the guest has a line, as a message names it."""
    (line,) = (k for k, text in enumerate(LINES.splitlines(), 1) if words in text)
    return f"at {folder / NAME}.py:{line} in "


TRAIN = ["train", f"{NAME}:experiment", "--sources", "a.npy", "--data", "b.npy", "--run", "run"]
TRUST = ["--trust", f"{NAME}:experiment"]


@pytest.mark.parametrize("trust", [[f"--trust={NAME}:metric"], ["--trust", NAME]])
def test_a_metric_that_raises_is_named_with_its_line(folder, capsys, trust):
    words = ["evaluate", "--fake", "a.npy", "--real", "b.npy", "--metrics", f"mmd,{NAME}:metric", *trust]
    code, out, err = call(capsys, *words)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"error: {NAME}:metric raised KeyError: 'nowhere', {at(folder, 'the metric')}metric"


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (f"mmd,{NAME}:constant,other_guest:constant", "metric 'other_guest:constant': gives constant, which "
                                                      f"{NAME}:constant gives; rename one of them"),
        (f"mmd,{NAME}:one", f"metric '{NAME}:one' is a function, not a function of two arguments, "
                            "(fake, real) -> number"),
    ],
)  # fmt: skip
def test_metrics_that_overwrite_each_other_or_cannot_be_called_are_refused(folder, capsys, metrics, said, monkeypatch):
    (folder / "other_guest.py").write_text((folder / f"{NAME}.py").read_text())
    words = ["evaluate", "--fake", "a.npy", "--real", "b.npy", "--metrics", metrics, "--trust", NAME, "other_guest"]
    code, out, err = call(capsys, *words)
    sys.modules.pop("other_guest", None)
    assert (code, out, err) == (2, "", f"error: {said}\n")


def test_features_without_columns_are_refused(folder, capsys):
    words = ["evaluate", "--fake", "a.npy", "--real", "b.npy", "--features", f"{NAME}:none", "--trust", NAME]
    code, _, err = call(capsys, *words)
    assert code == 3
    assert err.startswith("error: no features: ")
    assert "0 columns" in err


def test_a_recipe_that_raises_is_named_in_training_and_in_sampling(folder, capsys, monkeypatch):
    assert call(capsys, *TRAIN, *TRUST)[0] == 0
    monkeypatch.setenv("GUEST_FAILS", "wiring")
    said = f"error: {NAME}:experiment raised KeyError: '"
    for words in (["sample", "run", "-n", 2, "--out", "x.npz"], [*TRAIN, "--resume"], [*TRAIN[:-1], "other"]):
        code, _, err = call(capsys, *words, *TRUST)
        assert code == 1, err
        assert err.startswith(said)
        assert at(folder, "the recipe") + "experiment" in err
        assert err.count("\n") == 1
    assert not (folder / "other").exists()
    monkeypatch.setenv("GUEST_FAILS", "sampling")
    code, _, err = call(capsys, "sample", "run", "-n", 2, "--out", "x.npz", "--trust", NAME)
    assert code == 1
    assert err.startswith(f"error: {NAME} raised FileNotFoundError: ")  # whose remedy is not a place that we can write
    assert at(folder, "the sampler") in err


def test_a_method_that_raises_fails_its_run_which_keeps_traceback_and_checkpoint(folder, capsys):
    code, _, err = call(capsys, *TRAIN, "--fail", 2, *TRUST)
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {NAME}:experiment raised IndexError: out of steps, {at(folder, 'the method')}")
    assert "run/traceback.txt" in last
    described = json.loads((folder / "run" / "run.json").read_text())
    assert described["status"] == "failed"
    assert "IndexError: out of steps" in described["why"]
    assert "Traceback" in (trace := (folder / "run" / "traceback.txt").read_text())
    assert "# the method's line" in trace
    assert (folder / "run" / "checkpoints" / "last").is_dir()


def test_a_divergence_that_raises_is_named_as_it_was_typed(folder, capsys):
    code, _, err = call(capsys, "train", "toy_vgrow", "--data", "a.npy", f"--divergence={NAME}:SOFT", "--run", "run")
    assert code == 1
    assert err == (
        f"error: {NAME}:SOFT raised RuntimeError: no weight to be had, {at(folder, 'the divergence')}infinite\n"
    )


def test_a_module_that_cannot_be_imported_says_in_which_line(folder, capsys):
    (folder / "a_broken_guest.py").write_text("x = 1\ny = x / 0\n")
    code, _, err = call(capsys, "train", "a_broken_guest:y", "--trust", "a_broken_guest:y")
    assert code == 2
    assert f"ZeroDivisionError: division by zero, at {folder / 'a_broken_guest.py'}:2)" in err


def test_only_a_guest_that_ran_is_blamed():
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fail()
    assert guests.blamed(caught.value, ["json:dumps", "pushforward.guests:load"]) is None
    said = guests.blamed(caught.value, [f"{__name__}:other", f"{__name__}:test_only_a_guest_that_ran_is_blamed"])
    assert said is not None
    assert said.startswith(f"{__name__}:test_only_a_guest_that_ran_is_blamed raised ValueError, at {__file__}:")


def test_an_error_over_a_stored_run_is_its_guests_own_or_a_word_of_ours(tmp_path):
    run = {"recipe": f"{__name__}:waves", "arguments": {}, "format": 2}
    with pytest.raises(ValueError, match="a word") as caught:
        raise ValueError("a word")
    with pytest.raises(ValueError, match="a word"):
        unfit(run, tmp_path, "does not fit", caught.value)
    assert "does not fit (a word)" in str(unfit(run | {"recipe": "toy_gan"}, tmp_path, "does not fit", caught.value))
    with pytest.raises(ValueError, match="a word"):
        unfit(run | {"recipe": "toy_gan"}, tmp_path, "does not fit", caught.value, [__name__])


def test_an_option_and_its_value_come_apart_once():
    words = ["--a=b=c", "--run=", "x=y", "-n", "--json"]
    assert guests.apart(words) == ["--a", "b=c", "--run", "", "x=y", "-n", "--json"]
    assert guests.apart(guests.apart(words)) == guests.apart(words)


def test_what_a_line_mentions_is_what_it_names():
    words = ["train", "m:r", "--metrics=mmd,n:s", "--trust", "m", "n:s", "--run", "x"]
    assert guests.mentioned(words) == ["m:r", "n:s", "n:s", "m"]
