"""What an error advises is an option of the recipe that failed, and the one that was turned up, where one was."""

from __future__ import annotations

import json
import math
import re

import pytest
import torch

from pushforward import cli
from pushforward.errors import NotFinite
from pushforward.options import defaults
from pushforward.recipes import RECIPES
from pushforward.settings.options import options_of
from pushforward.settings.remedies import STEEP, remedy, steadier
from pushforward.terms import TERMS
from pushforward.training.loop import checked


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_remedy_names_options_that_the_recipe_has_and_the_one_that_was_turned_up(recipe):
    options, usual = options_of(RECIPES[recipe]), defaults(recipe)
    plain = remedy(options, usual)
    assert plain or recipe == "flow_particles"  # whose steps are those that suit its flow
    for name in re.findall(r"--([\w-]+)", plain):
        assert name.replace("-", "_") in options
    steep = [name for name in STEEP if name in options]
    assert steep
    for name in steep:
        value = 1e6 * (abs(usual[name]) if usual[name] else 1.0)
        said = remedy(options, usual | {name: value})
        assert re.match(rf"lower --{name.replace('_', '-')}, which is ", said), said
        assert f"{value:g}" in said
        assert len(re.findall(r"--", said)) == 1


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("given", [{}, {"moves": 3}, {"divergence": "JS"}])
def test_what_steadies_a_run_names_options_that_the_recipe_has(recipe, given):
    options, usual = options_of(RECIPES[recipe]), defaults(recipe)
    given = {name: value for name, value in given.items() if name in options}
    ways = steadier(options, usual | given)
    assert ways.keys() <= {"lost", "frozen", "worse"}
    for name in re.findall(r"--([\w-]+)", " ".join(ways.values())):
        assert name.replace("-", "_") in options
    if "moves" in given:
        assert "give --moves 1" in ways["lost"]
    if "divergence" in given:
        assert "--divergence LOGD" in ways["frozen"]


@pytest.mark.parametrize("name", [*TERMS, "another"])
def test_every_number_that_is_none_is_said_with_its_term_apart_from_what_helps(name):
    with pytest.raises(NotFinite) as raised:
        checked({name: torch.tensor(math.nan)}, 3)
    assert raised.value.found == f"step 3: {name} is nan"


@pytest.mark.parametrize(
    ("recipe", "option", "value"),
    [("toy_vgrow", "--rate", "1e6"), ("toy_vgrow", "--step", "1e30"), ("toy_particles", "--slope", "1e30"),
     ("toy_particles", "--step", "1e30"), ("toy_gan", "--rate", "1e6")],
)  # fmt: skip
def test_a_run_that_fails_names_the_option_that_made_it(recipe, option, value, tmp_path, capsys):
    small = "--data toy:moons --limit 200 --steps 6 --batch 20 --width 8".split()
    with pytest.raises(SystemExit) as left:
        cli.main(["train", recipe, *small, option, value, "--run", str(tmp_path / "run")])
    assert left.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"; lower {option}, which is {float(value):g}, " in said
    assert "the last good checkpoint is" in said
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["status"] == "failed"
    assert f"lower {option}" in described["why"]
