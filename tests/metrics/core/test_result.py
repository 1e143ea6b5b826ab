"""A measure says how to read it, and writes JSON that every parser takes."""

import io
import json
import math

from rich.console import Console

from pushforward.metrics.core.result import Measure, to_json
from pushforward.metrics.verdict.report import table

FIRST = ["value", "floor", "se", "n_fake", "n_real", "features"]


def test_record_starts_with_the_keys_a_reader_needs():
    assert list(Measure(1.0, 0.5, 0.1, None, 10, 20).as_dict())[:6] == FIRST
    assert list(Measure(1.0, 0.5, None, 0.03, 10, 20).as_dict())[:6] == [key if key != "se" else "p" for key in FIRST]
    both = Measure(1.0, 0.5, 0.1, 0.03).as_dict()
    assert (both["se"], both["p"]) == (0.1, 0.03)


def test_json_never_holds_nan_or_infinity():
    measure = Measure(math.nan, math.inf, protocol={"bandwidth": -math.inf, "seed": 3, "kernel": "rbf"})
    parsed = json.loads(json.dumps(to_json({"x": measure}), allow_nan=False))["metrics"]["x"]
    assert parsed["value"] is None
    assert parsed["floor"] is None
    assert parsed["protocol"] == {"bandwidth": None, "seed": 3, "kernel": "rbf"}


def test_table_shows_each_value_beside_its_floor_and_error():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table({"w2": Measure(0.6241, 0.5823, 0.0123, None, 500, 600), "mmd": Measure(0.25, None, p=0.005)}))
    rows = console.export_text().splitlines()
    assert next(row for row in rows if row.startswith("w2")).split() == [
        "w2", "↓", "0.6241", "0.5823", "±", "0.012", "500", "600", "raw",
    ]  # fmt: skip
    assert "p 0.005" in next(row for row in rows if row.startswith("mmd"))


def test_the_table_behind_a_number_is_plain_json_and_absent_where_there_is_none():
    measure = Measure(0.5, rows=({"column": "a", "distance": float("inf")}, {"column": "b", "distance": 0.1}))
    record = measure.as_dict()
    assert record["rows"] == [{"column": "a", "distance": None}, {"column": "b", "distance": 0.1}]
    json.dumps(record, allow_nan=False)
    assert "rows" not in Measure(0.5).as_dict()
