"""What a method or a flow can do is never guessed from its attributes, and attributes by name have their few places."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pushforward
from benchmarks import structure

SOURCES = sorted(Path(pushforward.__file__).parent.rglob("*.py"))
HOME = Path(pushforward.__file__).parent
PLACES = {
    "__init__.py": "the face, which loads what is touched",
    "guests.py": "a name in a module of the user's",
    "training/state.py": "fields of dataclasses, whatever they are called",
    "data/": "tables and matrices of other libraries",
    "merging/": "tables and matrices of other libraries, and fields of one's own settings",
    "estimators/": "parameters of an estimator by their names, as scikit-learn has them",
    "divergences/catalogue.py": "a constant by its name",
    "recipes/": "a scheme by its name",
    "metrics/gates.py": "a field of a measure by its name",
    "metrics/two_sample/classifier.py": "what a classifier of another library calls itself",
    "metrics/networks/loading.py": "a network in a module of the user's",
    "evaluation.py": "what a function of the user's calls itself",
    "cli.py": "the notes of an error, which only one that was given notes has",
    "parallel/threads.py": "whether this system counts its cores",
    "training/folder/": "parts of a data set by their names, and what this system can open",
    "flows/compiled.py": "what a version of torch has",
    "codecs/autoencoder.py": "the layers of a net with a head of its own",
    "settings/": "fields of dataclasses, whatever they are called",
}


def test_no_method_and_no_flow_is_asked_for_an_attribute_by_name():
    assert structure.guesses(structure.modules()) == []


def test_attributes_by_name_stand_where_there_is_a_reason():
    found = {}
    for path in SOURCES:
        place = path.relative_to(HOME).as_posix()
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        asked = [ast.unparse(node) for node in calls if ast.unparse(node.func) in ("getattr", "hasattr")]
        if asked and not any(place == known or (known[-1] == "/" and place.startswith(known)) for known in PLACES):
            found[place] = asked
    assert found == {}


def test_no_attribute_is_taken_against_the_word_of_its_type():
    against = re.compile(r"ignore\[[^]]*reportAttributeAccessIssue|cast\(\s*\"?(CriticFlow|Flow|Method|Particles)\b")
    lines = [line for path in SOURCES for line in path.read_text().splitlines() if against.search(line)]
    assert [line for line in lines if "__signature__" not in line] == []  # which functions may have, and no type says
