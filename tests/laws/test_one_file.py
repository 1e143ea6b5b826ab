"""One more term, metric or recipe of the house is one file: with that file changed, every answer knows of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from report.runs import make_run

import pushforward

HOUSE = Path(pushforward.__file__).parent

TERM = '\n\nTERMS["novelty"] = Term("Novelty", "How new it is. Healthy: falling.")\n'
METRIC = '''"""How far apart the means are."""

from pushforward.metrics.core.comparison import linear_cost
from pushforward.metrics.core.part import Part
from pushforward.metrics.core.result import Measure

__all__ = ["PARTS"]


def _run(c):
    return {"apart": Measure(float((c.q.mean(0) - c.p.mean(0)).norm()), 0.0)}


PARTS = (Part("apart", "distance of means", _run, linear_cost, {"apart": "How far apart the means are"}),)
'''
RECIPE = '''"""One recipe more."""

from pushforward.recipes.parts.checks import recipe

__all__ = ["one_more"]


@recipe
def one_more(*, breadth: int = 3):
    """One more. Expect nothing."""
'''


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the package's source, to be changed."""
    return Path(shutil.copytree(HOUSE, tmp_path / "src" / "pushforward", ignore=shutil.ignore_patterns("__pycache__")))


def said(copied: Path, *words: object) -> str:
    """What a command of the copy answers."""
    line = [sys.executable, "-m", "pushforward.cli", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(copied.parent)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_more_recipe_is_one_file(copied):
    (copied / "recipes" / "more.py").write_text(RECIPE)
    assert json.loads(said(copied, "recipes", "--json"))["one_more"] == {"breadth": 3}
    assert "--breadth" in said(copied, "train", "one_more", "--help")


def test_one_more_term_and_one_more_metric_are_one_file_each(copied, tmp_path):
    with open(copied / "terms.py", "a") as file:
        file.write(TERM)
    (copied / "metrics" / "quality" / "apart.py").write_text(METRIC)
    x = np.random.default_rng(0).normal(size=(50, 2))
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x + np.array([3.0, 4.0]))
    words = ["--fake", tmp_path / "a.npy", "--real", tmp_path / "b.npy", "--metrics", "apart", "--json"]
    found = json.loads(said(copied, "evaluate", *words, "--features", "raw"))["metrics"]
    assert found["apart"]["value"] == pytest.approx(5)
    run = make_run(tmp_path / "run")
    (run / "log.jsonl").write_text("".join(json.dumps({"step": k, "novelty": 1 / k}) + "\n" for k in range(1, 9)))
    (run / "metrics.json").write_text(json.dumps({"metrics": found}))
    page = Path(json.loads(said(copied, "report", run, "--json"))["report"]).read_text()
    for words in ("Novelty", "How new it is. Healthy: falling.", "How far apart the means are"):
        assert words in page
