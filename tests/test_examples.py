"""The examples run as a reader would run them, on one core, and print numbers with floors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_four():
    assert {script.stem for script in SCRIPTS} == {"generate_digits", "judge_table", "merge_batches", "own_flow"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_and_prints_numbers_with_their_floors(script, tmp_path):
    threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(script), "--quick"], cwd=tmp_path, env=os.environ | threads, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "floor" in done.stdout
    assert len(re.findall(r"\d\.\d+", done.stdout)) > 10
    assert not list(tmp_path.iterdir())  # nothing is left where the reader stood


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_uses_the_public_face_and_says_what_to_try_next(script):
    text = script.read_text(encoding="utf-8")
    modules = set(re.findall(r"^from (pushforward[\w.]*) import", text, re.MULTILINE))
    assert modules <= {"pushforward", "pushforward.merging", "pushforward.types"}
    last = text.rpartition("# %%")[2]
    assert last.startswith(" [markdown]")
    assert "## What to try next" in last
