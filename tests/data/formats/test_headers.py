"""A first line of numbers is names where the lines below say so, and either way it is said."""

import numpy as np
import pytest

from pushforward.data.formats.delimited import read

FRACTIONS = "".join(f"{a!r},{b!r},{c!r}\n" for a, b, c in np.random.default_rng(0).normal(size=(12, 3)).tolist())


@pytest.mark.parametrize("first", ["0,1,2", "2019,2020,2021", "1990,2000,2005"])
@pytest.mark.parametrize("times", [1, 8000])
def test_whole_numbers_above_fractions_are_names(tmp_path, first, times):
    path = tmp_path / "x.csv"
    path.write_text(f"{first}\n{FRACTIONS * times}")
    contents = read(path)
    assert contents.known == tuple(first.split(","))
    assert len(contents.body.lines) == 12 * times
    assert "is taken for names" in contents.notes[0]


def test_an_index_that_pandas_wrote_beside_numbered_columns_is_left_out(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",0,1,2\n" + "".join(f"{k},{row}\n" for k, row in enumerate(FRACTIONS.split())))
    contents = read(path)
    assert contents.known == ("0", "1", "2")
    assert len(contents.body.lines) == 12
    assert len(contents.notes) == 2


def test_a_word_above_numbers_makes_the_line_names(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("height,2019,2020\n" + FRACTIONS)
    assert read(path).known == ("height", "2019", "2020")


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("1,2,3\n4,7,1\n2,2,9\n", 1),
        ("3,1\n4.5,2.5\n", 0),
        ("1.5,2.5\n1,2\n", 0),
        ("1,2,cat\n3,4,dog\n", 0),
        ("5\n5.2\n", 0),
    ],
)
def test_a_row_like_the_others_is_a_row(tmp_path, text, notes):
    path = tmp_path / "x.csv"
    path.write_text(text)
    contents = read(path)
    assert len(contents.body.lines) == text.count("\n")
    assert len(contents.notes) == notes
