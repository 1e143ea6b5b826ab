"""An option that counts only beside another is refused where that is not so, and is heard where it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated

import pytest

from pushforward import cli
from pushforward.errors import UsageError
from pushforward.recipes import RECIPES
from pushforward.settings.options import Only, counting, options_of


def call(*words: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as left:
        cli.main(list(words))
    return int(left.value.code or 0)


MARKED = {(recipe, name) for recipe in RECIPES for name, option in options_of(RECIPES[recipe]).items() if option.only}


@dataclass(frozen=True)
class Inner:
    """A group within.

    Attributes:
        weight: A number.
        kind: A word.
    """

    weight: float = 1.0
    kind: Annotated[str, Only("law", ("b",))] = "x"


@dataclass(frozen=True)
class Outer:
    """A group.

    Attributes:
        law: A word.
        size: A number.
        either: A number.
    """

    law: str = "a:3"
    size: int = 0
    either: Annotated[int, Only("size"), Only("law", ("b", "c"))] = 5
    inner: Annotated[Inner, Only("size")] = field(default=Inner())


def wired(*, outer: Outer = Outer()) -> None:
    """A recipe."""


KNOWN = options_of(wired)


def test_a_mark_of_a_group_is_one_of_its_options_that_have_none_of_their_own():
    assert KNOWN["weight"].only == (Only("size"),)
    assert KNOWN["kind"].only == (Only("law", ("b",)),)


@pytest.mark.parametrize(
    "arguments", [{"either": 6}, {"weight": 2.0}, {"kind": "y"}, {"kind": "y", "law": "c"}, {"either": 6, "law": "a"}]
)
def test_what_does_nothing_is_refused(arguments):
    with pytest.raises(UsageError, match=r"does nothing without --\w+"):
        counting(KNOWN, arguments, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"either": 5},  # as it comes
        {"either": 6, "size": 1},
        {"either": 6, "law": "c"},
        {"weight": 2.0, "size": 3},
        {"kind": "y", "law": "b:7"},
    ],
)
def test_what_counts_is_not(arguments):
    counting(KNOWN, arguments, arguments)


def test_only_what_is_given_is_looked_at():
    counting(KNOWN, ["law"], {"either": 6, "law": "a"})


@pytest.mark.parametrize(("recipe", "name"), sorted(MARKED))
def test_what_an_option_counts_beside_is_an_option_of_the_recipe_and_may_have_that_value(recipe, name):
    known = options_of(RECIPES[recipe])
    there = [one for one in known[name].only if one.option in known]
    for one in there:
        for word in one.words:
            known[one.option].check(word)
    assert there or name == "drop"  # of a recipe without classes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bridge_toy --ratio-width 64", "--ratio-width 64: does nothing without --ratio;"),
        ("bridge_toy --drop .3", "--drop 0.3: does nothing without --conditional;"),
        ("bridge_toy --pairs 100", "--pairs 100: does nothing without --distil-steps;"),
        ("bridge_toy --distil-steps 3 --penalty 9", "--penalty 9.0: does nothing without --refine-steps;"),
        ("bridge_toy --law linear --level-mean 0", "--level-mean 0.0: does nothing without --law normal;"),
        ("vae_toy --components 3", "--components 3: does nothing without --prior mixture or vamp;"),
        ("vae_toy --context 3", "--context 3: does nothing without --posterior maf or nsf or realnvp;"),
        ("vae_toy --bound doubly --beta 2", "--beta 2.0: does nothing without --bound elbo;"),
        ("density_toy --flow maf --bins 3", "--bins 3: does nothing without --flow nsf;"),
        ("flow_particles --divergence JS", "--divergence JS: does nothing without --flow kernel_gpa;"),
        ("toy_particles --penalty 3", "--penalty 3.0: does nothing without --critic penalty;"),
        ("latent_particles --codec-width 64", "--codec-width 64: does nothing without --codec autoencoder;"),
    ],
)
def test_the_command_line_says_so_before_any_work(words, said, tmp_path, capsys):
    run = tmp_path / "run"
    assert call("train", *words.split(), "--steps", "2", "--run", str(run)) == 2
    assert said in capsys.readouterr().err
    assert not (run / "run.json").exists()


def test_a_run_of_before_goes_on_with_what_did_nothing(tmp_path):
    run = tmp_path / "run"
    words = ["train", "flow_particles", "--flow", "energy", "--particles", "20", "--run", str(run)]
    assert call(*words, "--steps", "2") == 0
    stored = json.loads((run / "run.json").read_text())
    stored["arguments"]["penalty"] = 7.0
    (run / "run.json").write_text(json.dumps(stored))
    assert call(*words, "--steps", "3", "--resume", "--penalty", "7") == 0
