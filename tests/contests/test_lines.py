"""What several seeds have in common is their mean, lowest and highest, of lines that have one title."""

import math

import numpy as np

from benchmarks.lines import COLUMNS, Line, head, together


def line(title, numbers):
    return Line(title, 600, tuple(numbers), "")


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_seeds_stand_as_mean_lowest_and_highest_whatever_their_order():
    rng = np.random.default_rng(0)
    values = rng.uniform(10, 99, size=(3, len(COLUMNS) - 1)).round(2)
    lines = [line("ours", [*row, float(k > 0)]) for k, row in enumerate(values)]
    rows = [list(together([lines[k] for k in order])) for order in ([0, 1, 2], [2, 0, 1])]
    assert rows[0] == rows[1]
    names, _, one = rows[0]
    assert cells(names)[2:] == list(COLUMNS)
    title, n, *found = cells(one)
    assert (title, n, found[-1]) == ("ours", "600", "2 of 3")
    for cell, column, form in zip(found[:-1], values.T, COLUMNS.values(), strict=False):
        assert cell == f"{column.mean():{form}} ({column.min():{form}} to {column.max():{form}})"


def test_titles_stay_apart_and_what_is_equal_or_unknown_has_no_spread():
    known, unknown = [5.0] * (len(COLUMNS) - 1) + [0.0], [math.nan] * 2 + [5.0] * (len(COLUMNS) - 3) + [1.0]
    rows = list(together([line("a", known), line("b", unknown), line("a", known)]))[2:]
    assert [cells(row)[0] for row in rows] == ["a", "b"]
    assert not any("to" in cell.split() for row in rows for cell in cells(row))
    assert cells(rows[0])[-1] == "0 of 2"
    assert cells(rows[1])[2:4] == ["", ""]


def test_lines_stand_under_the_names_of_their_columns():
    row = str(line("ours", [7.0] * (len(COLUMNS) - 1) + [1.0]))
    assert len(row) == len(head())
    for name, form in COLUMNS.items():
        end = head().index(name) + len(name)
        assert row[:end].endswith("yes" if form == "yes" else f"{7.0:{form}}")
