"""The tables of columns and pairs in words: what differs is told, worst first, and how much is left out."""

import json
import math

import numpy as np
import pytest
import torch

from pushforward.metrics.columns.by_column import column_laws
from pushforward.metrics.columns.by_pair import column_pairs
from pushforward.metrics.core.result import Measure
from pushforward.metrics.verdict.report import Report
from pushforward.metrics.verdict.worst import MOST, behind, nothing
from pushforward.plain.fields import Field


def row(name, p, distance=0.3, floor=0.1):
    return {"column": name, "way": f"way of {name}", "distance": distance, "floor": floor, "p": p, "p_corrected": p}


def test_the_words_of_a_report_name_what_differs_and_how_many_more_do():
    rows = [row(f"c{k:02d}", 0.001 + k / 1000) for k in range(13)] + [row("calm", 0.6)]
    words = str(Report({"columns": Measure(0.3, 0.1, p=0.001, rows=tuple(rows))}))
    assert "13 of 14 columns differ (p corrected for all 14)" in words
    shown = [line for line in words.splitlines() if "way of" in line]
    assert [line.split()[0] for line in shown] == [f"c{k:02d}" for k in range(MOST)]
    assert "3 more columns stand in the JSON" in words
    assert "calm" not in words


def test_where_nothing_differs_one_line_says_so():
    pairs = [{"first": "a", "second": "b", "p_corrected": 0.2, "distance": 0.1, "floor": 0.1}]
    report = Report(
        {"columns": Measure(0.1, rows=(row("a", 0.5), row("b", 0.7))), "pairs": Measure(0.1, rows=(pairs[0],))}
    )
    assert "\nNone of 2 columns and 1 pair differs (smallest corrected p 0.2)" in str(report)
    assert nothing(()) == ""
    assert "differs" not in str(Report({"a": Measure(1.0)}))


def test_without_p_values_what_is_twice_its_floor_is_worth_a_look():
    (table,) = behind({"columns": [row("far", None, 0.3, 0.1), row("near", None, 0.15, 0.1)]})
    assert [line.name for line in table.worth] == ["far"]
    assert "not tested" in table.lead


def test_rows_that_anybody_wrote_are_read_with_care():
    broken = ["words", 3, None, {"column": 7, "way": None, "distance": "far", "p_corrected": math.nan}, {}]
    (table,) = behind({"columns": broken})
    assert [line.name for line in table.lines] == ["7", ""]
    assert not table.worth
    assert behind({"columns": [], "mmd": [row("a", 0.1)]}) == ()


def test_names_with_markup_are_shown_as_they_are():
    words = str(Report({"columns": Measure(0.3, 0.1, p=0.001, rows=(row("[red]a[/red]", 0.001),))}))
    assert "[red]a[/red]" in words


def test_rows_of_measures_and_of_their_json_say_the_same():
    rng = np.random.default_rng(0)
    q, p = (torch.from_numpy(rng.normal(size=(300, 3))) for _ in range(2))
    q[:, 1] = q[:, 0]
    p[:, 2] += 1
    fields = tuple(Field(name, (k,)) for k, name in enumerate("abc"))
    report = Report({"columns": column_laws(q, p, fields=fields), "pairs": column_pairs(q, p, fields=fields)})
    stored = json.loads(json.dumps(report.as_dict()))["metrics"]
    assert behind({name: record["rows"] for name, record in stored.items()}) == report.worst
    columns, pairs = report.worst
    assert columns.worth[0].name == "c"
    assert columns.worth[0].way.startswith("lower: median")
    assert pairs.worth[0].name == "a × b"
    assert pairs.worth[0].way.startswith("rank correlation 1.00, real ")


@pytest.mark.parametrize(("factor", "word"), [(0.3, "lower: median"), (3.0, "higher: median")])
def test_a_column_that_lies_elsewhere_is_told_by_its_median_whatever_statistic_saw_it(factor, word):
    rng = np.random.default_rng(1)
    q, p = (torch.from_numpy(rng.normal(40, 10, (600, 1))) for _ in range(2))
    assert str(column_laws(q * factor, p).rows[0]["way"]).startswith(word)
