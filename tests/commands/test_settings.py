"""Settings of a method's own sampling are options like any other: by type, by range, and as strict."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch

from pushforward import cli
from pushforward.commands.settings import settle
from pushforward.errors import UsageError
from pushforward.options import with_settings
from pushforward.settings.options import Between, Rate, Weight


class Mode(Enum):
    FAST = "f"
    SLOW = "s"


@dataclass(frozen=True)
class Solver:
    """How an equation is solved."""

    order: Literal[1, 2] = 2
    tol: Weight = 0.0


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn."""

    max_steps: Annotated[int, Between(1, 1000)] = 100
    churn: Weight = 1.0
    start: Annotated[float, Between(-1, 1)] | None = None
    last: bool = True
    quiet: bool = False
    name: str = "euler"
    span: tuple[Weight, float] = (0.0, 1.0)
    knots: list[int] | None = None
    words: tuple[str, ...] = ()
    levels: tuple[Rate, ...] = (1.0,)
    mode: Mode = Mode.FAST
    file: Path = Path("a")
    table: dict[str, int] = field(default_factory=dict)
    solver: Solver = field(default=Solver())
    half: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "half", self.max_steps // 2)


class Method:
    sampling: Any = Sampling()

    def learn(self, batches, start=0):
        yield from ()

    def sample(self, n, rng=None, labels=None):
        return torch.zeros(n, 1)


@pytest.mark.parametrize(
    ("word", "value"),
    [("max_steps=1", 1), ("max_steps=1000", 1000), ("churn=2", 2.0), ("churn=0", 0.0), ("start=none", None),
     ("start=-1", -1.0), ("last=False", False), ("name=none", "none"), ("name=5", "5"), ("max-steps=5", 5),
     ("last=no", False), ("quiet", True), ("quiet=Yes", True),
     ("span=1,2.5", (1.0, 2.5)), ("knots=3, 4", [3, 4]), ("knots=none", None), ("words=a,b", ("a", "b")),
     ("words=", ()),
     ("levels=1,2,3", (1.0, 2.0, 3.0)), ("mode=SLOW", Mode.SLOW), ("file=b/c", Path("b/c")),
     ("order=1", 1), ("tol=1", 1.0)],
)  # fmt: skip
def test_a_word_is_a_value_of_the_field_s_type_also_in_a_group_of_settings(word, value):
    method, name = Method(), word.partition("=")[0].replace("-", "_")
    settle(method, [word], "mine")
    found = getattr(method.sampling if name in vars(method.sampling) else method.sampling.solver, name)
    assert found == value
    assert type(found) is type(value)
    assert method.sampling.half == method.sampling.max_steps // 2


@pytest.mark.parametrize(
    ("word", "said"),
    [("max_steps=0", "max_steps 0: give a number between 1 and 1000"), ("max_steps=1001", "max_steps 1001: give"),
     ("churn=-1", "churn -1.0: give a number at least 0"), ("churn=nan", "churn nan: give"), ("start=1.5", "start 1.5"),
     ("tol=-0.1", "tol -0.1: give"), ("order=3", "'3': not of its type"), ("order=1.0", "'1.0': not of its type"),
     ("last=1", "'1': not of its type"), ("max_steps=none", "'none': not of its type"), ("half=3", "no such setting"),
     ("span=1", "'1': not of its type"), ("span=1,x", "span (tuple[float, float], with commas between)"),
     ("levels=1,-2", "levels 1.0 -2.0: give a number at least"), ("mode=s", "mode (FAST or SLOW)"),
     ("max_steps", "give it a value (int)"),
     ("table=1", "no word is a dict[str, int], set it in the recipe")],
)  # fmt: skip
def test_a_value_out_of_range_or_of_another_type_is_refused_and_changes_nothing(word, said):
    method = Method()
    with pytest.raises(UsageError, match=rf"^--sampling\.{word.partition('=')[0]}.*") as caught:
        settle(method, [word], "mine")
    assert said in str(caught.value)
    assert method.sampling == Sampling()


def test_the_list_of_settings_says_their_types():
    with pytest.raises(UsageError, match="no such setting") as caught:
        settle(Method(), ["steps=3"], "mine")
    known = (
        "max_steps (int), churn (float), start (float), last (bool), quiet (bool), name (str), span "
        "(tuple[float, float], with commas between), knots (list[int], with commas between), words "
        "(tuple[str, ...], with commas between), "
        "levels (tuple[float, ...], with commas between), mode (FAST or SLOW), file (Path), order (1 or 2), tol (float)"
    )
    assert str(caught.value).endswith(f"it has {known}")


@pytest.mark.parametrize(
    ("words", "found"),
    [(["--sampling.n-inner", "5"], ["n_inner=5"]), (["--sampling.last", "--json"], ["last"]),
     (["--sampling.last", "-n", "3"], ["last"]),
     (["--sampling.low", "-1", "--sampling.last=no"], ["low=-1", "last=no"]),
     (["--sampling.last"], ["last"])],
)  # fmt: skip
def test_settings_are_read_off_the_line_with_or_without_a_value(words, found):
    read = with_settings(words)
    assert read[read.index("--sampling.FIELD") + 1 :] == found


@pytest.mark.parametrize("words", [["--sampling", "scale", "2"], ["--sampling=scale"], ["--sampling.", "2"]])
def test_a_setting_without_its_name_is_told_the_form(words):
    with pytest.raises(UsageError, match=r"name the setting, in the form --sampling\.FIELD VALUE"):
        with_settings(words)


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_help_shows_the_form(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    out = capsys.readouterr().out
    assert "--sampling.FIELD" in out
    assert "--sampling [" not in out
