"""Words of a stranger are of the kind that is asked for, or refused in one line that names place, field and remedy."""

import json
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
from exporting.test_crafted import JUNK, places

from pushforward.data import load
from pushforward.data.kept.card import Card
from pushforward.data.kept.parts import Parts
from pushforward.data.raw import Raw
from pushforward.errors import DataError
from pushforward.plain.words import Words

READERS = {
    "whole": (lambda words: words.whole("x"), lambda found: type(found) is int and 1 <= found <= 2**24),
    "wholes": (lambda words: words.wholes("x", count=2), lambda found: len(found) == 2),
    "number": (lambda words: words.number("x"), lambda found: type(found) is float and abs(found) <= 1e38),
    "numbers": (lambda words: words.numbers("x"), lambda found: all(type(value) is float for value in found)),
    "flag": (lambda words: words.flag("x"), lambda found: type(found) is bool),
    "word": (lambda words: words.word("x"), lambda found: type(found) is str),
    "names": (lambda words: words.names("x"), lambda found: all(type(value) is str for value in found)),
    "one_of": (lambda words: words.one_of("x", ("linear", "")), lambda found: found in ("linear", "")),
    "shape": (lambda words: words.shape("x"), lambda found: 1 <= len(found) <= 4 and min(found) >= 1),
    "inside": (lambda words: words.inside("x"), lambda found: type(found.values) is dict),
}


def said_of(read: Callable[[], object]) -> str:
    """Why something is refused; empty where it is read."""
    try:
        read()
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_what_it_says_or_refuses_in_one_line(name):
    read, right = READERS[name]
    refused = 0
    for junk in JUNK:
        words = Words({"x": junk}, "here", "do that")
        if said := said_of(lambda words=words: read(words)):
            refused += 1
            assert said.startswith("here: x is ")
            assert said.endswith("; do that")
            assert "\n" not in said
        else:
            assert right(read(words))
    assert 0 < refused < len(JUNK)


def test_fields_are_those_that_are_asked_for():
    words = Words({"a": 1, "b": None}, "here", "do that")
    assert words.exactly("a", "b") is words.exactly("a", among=True) is words
    assert (words.given("a"), words.given("b"), words.given("c")) == (True, False, False)
    with pytest.raises(DataError, match=r"^here: lacks c, .*; do that$"):
        words.exactly("a", "b", "c")
    with pytest.raises(DataError, match="has a field 'b'"):
        words.exactly("a")
    with pytest.raises(DataError, match="no object"):
        Words.of([1], "here")


@pytest.mark.parametrize("name", ["toy:moons", "digits"])
def test_a_card_of_data_with_anything_anywhere_is_read_or_refused_in_one_line(name):
    card = Card.of(load(name, limit=60))
    assert card is not None
    plain = json.loads(json.dumps(card.as_dict()))
    assert Card.of_dict(plain, "data.json").dataset().event == card.event
    refused = 0
    for path in places(plain):
        for junk in JUNK:
            changed = deepcopy(plain)
            inside = changed
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = junk
            if said := said_of(lambda changed=changed: Card.of_dict(changed, "data.json")):
                refused += 1
                assert said.startswith("data.json")
                assert "\n" not in said
                assert "restore it" in said
    assert refused > 100


def test_digests_with_anything_anywhere_are_read_or_refused_in_one_line():
    plain = json.loads(json.dumps(Parts.of(Raw("x", "points", np.ones((600, 2)), columns=("a", "b"))).as_dict()))
    assert Parts.of_dict(plain, "p").as_dict() == Parts.of_dict(plain, "p").as_dict()
    for name in plain:
        for junk in JUNK:
            said = said_of(lambda name=name, junk=junk: Parts.of_dict(plain | {name: junk}, "p"))
            assert not said or (said.startswith("p: holds no digests of data") and said.endswith("restore it"))
