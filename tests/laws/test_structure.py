"""The house is built as its plan says, and the tables that say so see what they should."""

from __future__ import annotations

import ast

import pytest

from benchmarks import structure

LAYERS = ("pushforward.methods", "pushforward.flows", "pushforward.types")


@pytest.fixture(scope="module")
def tables() -> list[structure.Table]:
    """Made once, by the process that runs these tests: every one that collects them would pay for it otherwise."""
    return structure.tables()


def house(**rooms: str) -> dict[str, ast.Module]:
    return {f"pushforward.{name.replace('__', '.')}": ast.parse(text) for name, text in rooms.items()}


@pytest.mark.parametrize(
    "text",
    [
        "from pushforward.methods.mine import x",
        "from pushforward import methods",
        "import pushforward.methods.mine",
        "if TYPE_CHECKING:\n    from pushforward.methods import x",
        "def lazily():\n    from pushforward.methods import x",
        "import_module('pushforward.methods.mine')",
        "from pushforward import merge",
    ],
)
def test_an_arrow_that_points_back_up_is_seen_wherever_it_hides(text):
    below = house(methods="", methods__mine="", flows__mine=text, types="")
    assert len(structure.arrows(below, LAYERS)) == 1
    assert structure.arrows(house(methods__mine="from pushforward.flows.mine import x", flows__mine=""), LAYERS) == []


@pytest.mark.parametrize("asked", ["method", "self.flow", "run.method", "self._flow", "named"])
def test_a_guess_at_a_method_or_a_flow_is_seen(asked):
    seen = structure.guesses(house(flows__mine=f"def f(named: Flow):\n    getattr({asked}, 'logs', {{}})"))
    assert len(seen) == 1
    assert structure.guesses(house(flows__mine="getattr(module, 'x'), hasattr(table, 'columns')")) == []


def test_lines_and_parameters_of_a_function_are_counted_as_python_does():
    body = "\n".join(f"    x{k} = {k}" for k in range(5))
    text = f"def long(a, b, /, c, *rest, d, e=1, **more):\n{body}\n\nclass A:\n    def f(self, a):\n        pass\n"
    long, method = structure.functions(house(nets__mine=text))
    assert (long.lines, long.parameters) == (6, 5)
    assert (method.place, method.lines, method.parameters) == ("pushforward.nets.mine.A.f", 2, 1)


def test_lines_of_files_are_counted_the_longest_first(tmp_path):
    (tmp_path / "house" / "room").mkdir(parents=True)
    (tmp_path / "house" / "short.py").write_text('"""One."""\n')
    (tmp_path / "house" / "room" / "long.py").write_text('"""Three."""\n\nx = 1\n')
    assert list(structure.lengths(tmp_path / "house").items()) == [("house/room/long.py", 3), ("house/short.py", 1)]


def test_process_groups_are_known_to_one_room():
    text = "from torch import distributed"
    assert len(structure.together(house(methods__mine=text, parallel__sharing=text, flows__mine="import torch"))) == 1


def test_option_lines_are_signature_and_args_of_recipes_and_not_of_what_they_share():
    recipe = '''def f(
    *, steps: int = 1
) -> Experiment:
    """A recipe.

    Args:
        steps: Steps.
    """
    return 0
'''
    wired = "def experiment(a, b) -> Experiment:\n    return a"
    share = structure.option_share(house(recipes__mine=recipe, recipes__parts__wiring=wired))
    assert share == pytest.approx((3 + 2) / 9)


@pytest.mark.parametrize(
    "words",
    [
        "files in the fullest room",
        "files over 330 lines",
        "functions over 60 lines",
        "functions over 8 parameters",
        "getattr",
        "point back up",
        "process groups",
        "option lines",
        "one more metric",
        "one more term",
    ],
)
def test_the_house_holds_what_is_asked_of_it(words, tables):
    (table,) = [table for table in tables if words in table.about]
    assert table.holds, table.names
