"""A column of text is a quantity where all cells are written one way, and one only; else the cause is named."""

import numpy as np
import pytest

from pushforward.data.columns.text import fault, quantity, refusal

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=60) * 3000, 2)


def comma(x: float) -> str:
    return f"{x:.2f}".replace(".", ",")


def german(x: float) -> str:
    return f"{x:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize("write", [repr, comma, german, "{:,.2f}".format, "{:e}".format, lambda x: comma(x) + "e0"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_numbers_are_the_same_however_they_are_written(write, mark):
    found = quantity([write(x) for x in X.tolist()], mark)
    assert found is not None
    assert found.kind == "number"
    np.testing.assert_allclose(found.values, X, rtol=1e-6)
    assert bool(found.how) == ("," in write(1234.5))


def test_three_digits_behind_every_comma_are_decimals_between_semicolons_and_nothing_elsewhere():
    cells = ["1,234", "12,500", "7", "999,001"]
    found = quantity(cells, ";")
    assert found is not None
    assert found.values.tolist() == [1.234, 12.5, 7, 999.001]
    for mark in (",", "\t", ""):
        assert quantity(cells, mark) is None
    assert "decimal comma or one between thousands" in refusal(cells, "")[0]
    for other, values in (("0,125", 0.125), ("1,2345", 1.2345), ("12,5", 12.5)):  # no thousands are written so
        found = quantity([*cells, other], "\t")
        assert found is not None
        assert found.values[-1] == values
    found = quantity([*cells, "1,234,567"], "\t")
    assert found is not None
    assert found.values.tolist() == [1234, 12500, 7, 999001, 1234567]
    assert found.kind == "whole"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_two_ways_of_writing_in_one_column_are_none(mark):
    for cells in (["1.5", "2,5"], ["1,5", "1.234"], ["1.234", "1,234"], ["1,23", "1,234.5"]):
        assert quantity(cells, mark) is None


def test_true_and_false_of_any_case_are_truth_values_and_other_answers_are_words():
    found = quantity(["TRUE", "false", "True"])
    assert found is not None
    assert (found.kind, found.values.tolist()) == ("truth", [1, 0, 1])
    for cells in (["yes", "no"], ["T", "F"], ["Y", "n"]):
        assert quantity(cells) is None
        assert refusal(cells, "")[1] == "write true and false"


def test_whole_numbers_with_leading_zeros_are_names_and_others_are_not():
    assert quantity(["94110", "00123"]) is None
    assert "leading zeros such as '00123'" in refusal(["94110", "00123"], "")[0]
    for cells in (["0", "10", "-5"], ["0.5", "00.5"], ["1e-05", "0e3"]):
        assert quantity(cells) is not None


@pytest.mark.parametrize(
    ("cells", "row", "what"),
    [
        (["[m]", "1", "2"], 0, "delete this line if it holds units"),
        (["n/a", "1", "2"], 0, "'n/a' is not a number"),
        (["1", "", "2"], 1, "the cell is empty"),
        (["1.5", "2,5", "2"], 1, "decimals take a point"),
        (["true", "false", ""], 2, "the cell is empty"),
        (["true", "maybe", "false"], 1, "'maybe' is not a truth value"),
        (["2024-01-01", "2024-02-30", "2024-02-28"], 1, "'2024-02-30' is not a date"),
        (["1,5", "2,5", "3.5"], 2, "'3.5' is not a number with a decimal comma"),
    ],
)
def test_the_cell_at_fault_is_named_with_what_the_others_are(cells, row, what):
    assert quantity(cells) is None
    found = fault(cells)
    assert found is not None
    assert found[0] == row
    assert what in found[1]


@pytest.mark.parametrize(
    ("cells", "what", "remedy"),
    [
        (["31.12.2024", "01.02.2024"], "dates such as '31.12.2024'", "2024-01-31"),
        (["12/31/2024", "1/2/2024"], "dates such as '12/31/2024'", "2024-01-31"),
        (["low", "high"] * 5, "2 different words", "--labels site"),
    ],
)
def test_a_column_that_is_no_quantity_says_what_it_holds(cells, what, remedy):
    assert fault(cells) is None
    found = refusal(cells, "--labels site")
    assert what in found[0]
    assert remedy in found[1]


@pytest.mark.parametrize(
    ("cells", "others"),
    [
        (["kg", "1.5", "2"], "numbers"),
        (["kg", "1,5", "2,25"], "numbers with decimal commas"),
        (["kg", "1,234.5", "2,345.5"], "numbers with commas between thousands"),
        (["UTC", "2024-01-31", "2024-02-01"], "dates"),
        (["yes?", "true", "false"], "truth values"),
    ],
)
def test_a_line_of_units_stands_above_things_of_one_kind(cells, others):
    found = fault(cells)
    assert found is not None
    assert f"{cells[0]!r} stands above {others}: " in found[1]
