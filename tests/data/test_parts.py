"""Digests of parts tell what changed and nothing else, and are believed only where they can be of a data set."""

import json

import numpy as np
import pytest

from pushforward.data.kept.card import Card
from pushforward.data.kept.parts import LEAF, Parts, told
from pushforward.data.raw import Raw
from pushforward.data.source import load
from pushforward.errors import DataError

X = np.random.default_rng(0).normal(size=(4 * LEAF, 3))
Y = np.arange(len(X)) % 3


def plain(found: dict) -> dict:
    return json.loads(json.dumps(found))


def parts(x: np.ndarray = X, y: np.ndarray = Y) -> Parts:
    return Parts.of(Raw("x.csv", "points", x, labels=y, columns=("a", "b", "c")))


@pytest.mark.parametrize("other", [(Y + 1) % 3, np.array(["u", "v", "w"])[Y], np.where(np.arange(len(Y)) < 3, 2, Y)])
def test_of_labels_alone_nothing_else_is_told(other):
    assert told(parts(), parts(y=other)) == ["the labels were altered"]


def test_of_one_column_or_one_row_nothing_else_is_told():
    column, row = X.copy(), X.copy()
    column[:, 1] += 1
    row[LEAF + 5] += 1
    assert told(parts(), parts(column)) == ["column b altered"]
    assert told(parts(), parts(row)) == [f"rows among {LEAF} to {2 * LEAF - 1} altered"]


@pytest.mark.parametrize("n", [1, LEAF, LEAF + 1, 200 * LEAF + 3])
def test_what_was_written_is_believed(n):
    known = Parts.of(Raw("x.npy", "points", np.arange(float(n))[:, None]))
    assert Parts.of_dict(plain(known.as_dict()), "data.json") == known


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": []},
        {"blocks": ["00"]},
        {"block": 0},
        {"block": 3},
        {"block": LEAF + 1},
        {"block": 3 * LEAF},
        {"n": 1},
    ],
    ids=str,
)
def test_blocks_that_cannot_be_of_so_many_rows_are_refused(change):
    with pytest.raises(DataError, match="holds no digests of data"):
        Parts.of_dict(plain({**parts().as_dict(), **change}), "data.json")


@pytest.mark.parametrize("change", [{"columns": ["a"]}, {"kinds": ["number"]}, {"kinds": ["number", "date"]}], ids=str)
def test_a_card_has_a_name_and_a_kind_for_every_column_or_none(tmp_path, change):
    np.savetxt(tmp_path / "x.csv", X[:, :2], delimiter=",", header="a,b", comments="")
    card = Card.of(load(str(tmp_path / "x.csv")))
    assert card is not None
    assert Card.of_dict(plain(card.as_dict()) | {"columns": ["a", "b"]}, "data.json").columns == ("a", "b")
    with pytest.raises(DataError, match="not a description of data"):
        Card.of_dict(plain(card.as_dict()) | change, "data.json")
