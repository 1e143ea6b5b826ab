"""Runs that are kept: what is there is found again, and nothing is mixed in without a word."""

import pytest

from pushforward.benches import kept
from pushforward.errors import UsageError


def run(key):
    empty = {"settings": {}, "marks": {}, "failed": "", "cpu": 1.0, "cpu_all": 1.0, "done": 1, "laid": [1]}
    return {"key": key} | empty


def test_a_run_that_is_kept_is_found_and_one_of_other_settings_is_counted_and_left_out(tmp_path):
    folder = tmp_path / "new"
    assert kept.read(folder, ["a"], mixed=False).runs == {}
    stored = {key: kept.add(folder, run(key)) for key in "ab"}
    found = kept.read(folder, ["a", "c"], mixed=False)
    assert found.runs == {"a": stored["a"]}
    assert found.others == 1
    assert "runs of other settings, left out: 1" in found.notes(folder)[0]


def test_a_line_that_was_cut_costs_itself_alone(tmp_path):
    kept.add(tmp_path, run("a"))
    path = tmp_path / kept.RUNS
    path.write_bytes(path.read_bytes() * 2)
    path.write_bytes(path.read_bytes()[:-9])
    kept.add(tmp_path, run("b"))
    found = kept.read(tmp_path, ["a", "b"], mixed=False)
    assert set(found.runs) == {"a", "b"}
    assert found.damaged == 1


@pytest.mark.parametrize("line", ["[]", "{}", '{"key": 3}', "nonsense", '{"key": "a"}'])
def test_a_line_that_is_no_run_is_left_out_and_counted(line, tmp_path):
    (tmp_path / kept.RUNS).write_text(f"{line}\n")
    found = kept.read(tmp_path, ["a"], mixed=False)
    assert (found.runs, found.damaged) == ({}, 1)


def test_runs_of_other_code_are_refused_and_taken_when_asked_with_a_note(tmp_path, monkeypatch):
    kept.add(tmp_path, run("a"))
    here = kept.code()
    monkeypatch.setattr(kept, "code", lambda: "pushforward of tomorrow")
    with pytest.raises(UsageError, match="--mixed") as refused:
        kept.read(tmp_path, ["a"], mixed=False)
    assert here in str(refused.value)
    assert kept.read(tmp_path, ["b"], mixed=False).runs == {}  # what is not asked for is nobody's business
    found = kept.read(tmp_path, ["a"], mixed=True)
    assert set(found.runs) == {"a"}
    assert here in found.notes(tmp_path)[-1]


def test_every_source_that_computes_is_there():
    for place in kept.COMPUTES:
        path = kept.Path(kept.__file__).parents[1] / place
        assert path.is_file() or list(path.rglob("*.py")), place
