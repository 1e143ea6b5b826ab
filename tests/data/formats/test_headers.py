"""A first line of numbers is names where the lines below say so, and either way it is said."""

import numpy as np
import pytest

from pushforward.data.formats.delimited import read

FRACTIONS = "".join(f"{a!r},{b!r},{c!r}\n" for a, b, c in np.random.default_rng(0).normal(size=(12, 3)).tolist())


@pytest.mark.parametrize(
    "first", ["0,1,2", "2019,2020,2021", "1990,2000,2005", "2024,2023,2022", "2023,2022,2024", "1,0,2"]
)
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
        ("3,3\n4.5,2.5\n", 0),
        ("0,1\n1,0\n", 1),
        ("1,0\n1,0\n0,1\n", 1),
        ("2024,2023\n2,0.5\n7,1.5\n", 1),
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


def test_a_long_file_of_whole_numbers_says_that_its_first_line_is_a_row(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("2024,2023\n" + "12345678,87654321\n" * 240_000)
    (note,) = read(path).notes
    assert note.startswith("line 1, 2024,2023, is taken for a row")


def test_words_beside_years_in_any_order_make_the_line_names(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("height,2024,2019\n" + FRACTIONS)
    assert read(path).known == ("height", "2024", "2019")


def test_a_row_that_lacks_its_first_cell_is_no_line_of_names(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",3,1\n" + FRACTIONS)
    assert len(read(path).body.lines) == 13


def test_names_that_are_asked_for_are_found_above_whole_numbers_too(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("2024,2023,7\n1,2,3\n4,5,6\n")
    for contents in (read(path, expected=("2023", "2024")), read(path, "2023,2024")):
        assert contents.known == ("2024", "2023", "7")
        assert list(contents.body.lines) == [2, 3]
    assert "it has those that are asked for" in read(path, expected=("2023", "2024")).notes[0]
    assert len(read(path, expected=("2023", "2025")).body.lines) == 3
    places = tmp_path / "y.csv"
    places.write_text("0,1\n5,2\n")
    assert len(read(places, "1").body.lines) == 2  # columns without names are chosen by their places
