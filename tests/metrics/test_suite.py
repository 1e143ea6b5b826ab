"""The suite is what the modules of the metrics say: found, in order, and never two of one name."""

import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import pytest

from pushforward import metrics
from pushforward.metrics import suite
from pushforward.metrics.core.part import LAST, Part


def module(*parts: Part) -> ModuleType:
    made = ModuleType("mine")
    vars(made)["PARTS"] = parts
    return made


MINE = Part("mine", "my own", lambda c: {}, lambda c: 0.0, {"mine": "How far off"})


def test_a_part_is_found_where_its_module_lists_it_and_stands_last_where_it_asks_for_no_place():
    found = suite.collect((module(MINE), *suite.MODULES))
    assert list(found) == [*suite.PARTS, "mine"]
    assert list(suite.collect((module(MINE, replace(MINE, name="first", gives={}, place=-1)),))) == ["first", "mine"]
    assert all(part.place < LAST for part in suite.PARTS.values())


@pytest.mark.parametrize("other", [MINE, replace(MINE, name="other"), replace(MINE, gives={"another": ""})])
def test_two_parts_of_one_name_or_of_one_measure_are_refused(other):
    with pytest.raises(ValueError, match="mine: rename one"):
        suite.collect((module(MINE), module(other)))


def test_every_number_of_a_part_has_words_and_no_part_is_measured_by_default_where_it_cannot_be():
    assert all(part.gives for part in suite.PARTS.values())
    assert all(suite.READINGS.values())
    assert not any("density" in part.needs for part in (*suite.DEFAULT_POINTS, *suite.DEFAULT_IMAGES))
    assert all("density" in part.needs for part in suite.DEFAULT_DENSITIES)
    assert not any(part.needs & {"centres", "points"} for part in suite.DEFAULT_IMAGES)
    assert not any(part.needs & {"colours", "classifier"} for part in suite.DEFAULT_POINTS)


def test_the_face_of_metrics_answers_for_the_public_names_of_every_module():
    for home in suite.MODULES:
        for name in home.__all__:
            assert name in dir(metrics)
            assert name == "PARTS" or getattr(metrics, name) is getattr(home, name), name
    with pytest.raises(AttributeError, match="no attribute 'mmmd'"):
        _ = metrics.mmmd


@pytest.mark.parametrize("first", ["suite", "core.part", "quality.frechet", "copying.memorisation"])
def test_any_module_of_metrics_may_be_imported_first(first):
    subprocess.run([sys.executable, "-c", f"import pushforward.metrics.{first}"], check=True)
