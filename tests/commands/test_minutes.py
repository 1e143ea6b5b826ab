"""--minutes holds for all of a sitting: what does not fit is sampled, cut or left out, and says so."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

import pytest
import torch

from pushforward import cli
from pushforward.commands import measuring
from pushforward.commands.measuring import drawing
from pushforward.commands.measuring import run as run_of
from pushforward.commands.training import train
from pushforward.commands.watching import Until
from pushforward.errors import DataError, OutOfTime
from pushforward.metrics.evaluate import evaluate
from pushforward.options import defaults
from pushforward.settings.running import Running

SMALL = {"data": "toy:moons", "limit": 300, "particles": 40, "batch": 40, "width": 8, "warmup": 1, "diagnose": 0}


def trained(folder: Path, minutes: float | None, **options):
    arguments = defaults("toy_particles") | SMALL | options
    return train("toy_particles", arguments, folder, Running(threads=1, minutes=minutes))


def test_a_sitting_that_is_over_measures_nothing_and_says_how_to_get_it(tmp_path, capsys):
    outcome = trained(tmp_path / "run", 1e-5, steps=50)
    assert outcome.code == 0
    assert outcome.run.step == 1
    assert outcome.measures is outcome.page is None
    assert "pushforward evaluate" in outcome.summary()["left_out"]
    assert "no time was left within --minutes for evaluation and page" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run" / "metrics.json").exists()
    with pytest.raises(SystemExit, match="0"):
        cli.main(["evaluate", str(tmp_path / "run"), "--metrics", "mmd", "-n", "20"])


def test_a_sitting_with_time_enough_measures_everything(tmp_path):
    within, without = trained(tmp_path / "a", 60, steps=3), trained(tmp_path / "b", None, steps=3)
    assert within.page is not None
    assert within.measures is not None
    assert within.measures.as_dict() == without.measures.as_dict()
    assert within.left_out == ""


def test_samples_are_as_many_as_there_is_time_for(tmp_path, monkeypatch):
    run = trained(tmp_path / "run", None, steps=3, limit=2000, test_fraction=0.5).run
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    draw = drawing.samples_of

    def slow(experiment, n, *rest, **options):
        clock[0] += 0.01 * n
        return draw(experiment, n, *rest, **options)

    monkeypatch.setattr(drawing, "samples_of", slow)
    found = measuring.measure_run(run.folder, "last", run.experiment, 3, until=Until(100 + 12.0, 2.0))
    assert found is not None
    said = [note for note in found.notes if "samples in place of 1000" in note]
    assert len(said) == 1
    n = int(said[0].split()[0])
    assert 300 < n <= 600
    assert clock[0] < 112
    assert json.loads((run.folder / "metrics.json").read_text())["notes"]


def test_parts_that_cannot_end_in_time_are_left_out_by_name():
    x, y = torch.randn(300, 2), torch.randn(300, 2)

    class Late:
        def begin(self, name: str, seconds: float) -> None:
            self.until = Until(-math.inf if name == "mmd" else time.monotonic() + 1000)
            self.until.begin(name, seconds)

        def tick(self, fraction: float) -> None:
            self.until.tick(fraction)

    found = evaluate(x, y, watch=Late())
    whole = evaluate(x, y)
    assert [words for words in found.warnings if words.startswith("mmd left out: no time was left for it")]
    lost = set(whole) - set(found)
    assert lost
    assert all("mmd" in name.lower() for name in lost)
    with pytest.raises(OutOfTime, match="no time"):
        evaluate(x, y, watch=Until(-math.inf))


def test_a_part_that_lacks_rows_beside_others_that_had_no_time_is_named_and_no_fault_of_the_data():
    x, y = torch.randn(300, 2), torch.randn(300, 2)

    class Faulty:
        def begin(self, name: str, seconds: float) -> None:
            if name == "mmd":
                raise DataError("a fault")
            raise OutOfTime("no time was left")

        def tick(self, fraction: float) -> None:
            raise AssertionError

    with pytest.raises(OutOfTime, match=r"mmd left out: a fault; .* left out: no time was left"):
        evaluate(x, y, watch=Faulty())


def test_what_a_run_cannot_be_measured_for_is_no_want_of_time(tmp_path, monkeypatch):
    run = trained(tmp_path / "run", None, steps=3).run

    def broken(*arguments, **options):
        raise DataError("rows are damaged")

    over = Until(time.monotonic() + 1000, 10.0)
    monkeypatch.setattr(Until, "to_measure", property(lambda self: -1.0 if self is over else 0.0))
    monkeypatch.setattr(run_of, "in_time", lambda *_: (None, ()))
    monkeypatch.setattr(run_of, "measure_pair", broken)
    with pytest.raises(DataError, match="rows are damaged"):
        measuring.measure_run(run.folder, "last", run.experiment, 3, until=over)


@pytest.mark.slow
def test_a_long_tape_is_not_evaluated_past_the_limit(tmp_path):
    begun = time.monotonic()
    outcome = trained(tmp_path / "run", 0.15, steps=10**6, fields=0, limit=20_000, test_fraction=0.5)
    assert time.monotonic() - begun < 9 + 5
    assert outcome.run.step > 100
    measured = outcome.summary()
    assert "left_out" in measured or any("samples in place of" in note for note in measured["notes"])


def resumed(folder: Path, minutes: float | None, **options):
    arguments = defaults("toy_particles") | SMALL | options
    return train("toy_particles", arguments, folder, Running(threads=1, minutes=minutes, resume=True))


@pytest.mark.parametrize("minutes", [1e-5, 1.0, None])
def test_a_finished_run_that_was_measured_is_not_measured_again(tmp_path, monkeypatch, minutes, capsys):
    folder = tmp_path / "run"
    whole = trained(folder, None, steps=3)
    assert whole.measures is not None
    metrics, page = (folder / "metrics.json").read_bytes(), (folder / "report.html").read_bytes()
    monkeypatch.setattr(run_of, "measure_pair", lambda *_, **__: pytest.fail("measured again"))
    again = resumed(folder, minutes, steps=3)
    assert (folder / "metrics.json").read_bytes() == metrics
    if minutes == 1e-5:
        assert (folder / "report.html").read_bytes() == page
    summary = again.summary()
    assert "left_out" not in summary
    assert {name: summary[name] for name in whole.measures.as_dict()} == whole.measures.as_dict()
    assert len([note for note in summary["run_notes"] if note.startswith("measured already")]) == 1
    assert "measured already" in capsys.readouterr().err


def test_what_was_cut_short_is_measured_again_where_there_is_more_time_and_only_there(tmp_path):
    folder = tmp_path / "run"
    trained(folder, None, steps=3)
    path = folder / "metrics.json"
    whole = json.loads(path.read_text())
    assert "cut_short_at" not in whole
    path.write_text(json.dumps(whole | {"cut_short_at": 30.0, "metrics": {}}))
    assert measuring.measured(folder, 3, until=Until(time.monotonic() + 20)) is not None
    assert measuring.measured(folder, 3, until=Until(time.monotonic() + 40)) is None
    resumed(folder, None, steps=3)
    assert json.loads(path.read_text()) == whole


@pytest.mark.parametrize(
    "other", [{"step": 2}, {"seed": 1}, {"checkpoint": "best"}, {"data": "x.csv"}, {"sampling": ["steps=5"]}]
)
def test_numbers_of_anything_else_are_not_taken_for_those_of_the_last_checkpoint(tmp_path, other):
    found = {"checkpoint": "last", "step": 3, "seed": 0, "metrics": {}, "notes": [], "warnings": [], "verdict": ""}
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    assert measuring.measured(tmp_path, 3) is not None
    (tmp_path / "metrics.json").write_text(json.dumps(found | other))
    assert measuring.measured(tmp_path, 3) is None


def test_a_cut_evaluation_says_how_many_seconds_it_had(tmp_path, monkeypatch):
    run = trained(tmp_path / "run", None, steps=3).run
    begin = Until.begin

    def late(self: Until, name: str, seconds: float) -> None:
        begin(self, name, 1e9 if name == "mmd" else 0.0)

    monkeypatch.setattr(Until, "begin", late)
    assert (
        measuring.measure_run(run.folder, "last", run.experiment, 3, until=Until(time.monotonic() + 1000)) is not None
    )
    assert 900 < json.loads((run.folder / "metrics.json").read_text())["cut_short_at"] <= 1000


def test_training_says_what_its_command_took_of_the_processor(tmp_path, capsys):
    words = [f"--{name}={value}" for name, value in SMALL.items()]
    before = time.process_time()
    for form in ([], ["--json"]):
        with pytest.raises(SystemExit, match="0"):
            cli.main(["train", "toy_particles", "--steps=3", *words, "--run", str(tmp_path / f"run{len(form)}"), *form])
    table, _, summary = capsys.readouterr().out.partition("{")
    (told,) = re.findall(r"trained 3 steps in \d+ s; this command took (\d+) s of CPU", table)
    spent = json.loads("{" + summary)["cpu_seconds"]
    assert 0 <= float(told) <= spent + 0.5
    assert before < spent + 0.1
    assert spent <= time.process_time() + 0.1
