"""A guest is imported where the user names it at that call, and nowhere else; every refusal is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from guests.commands import call

from pushforward import guests
from pushforward.errors import UsageError

WATCHED = """
from pathlib import Path

from {source} import experiment
from pushforward.divergences import KL

Path({marker!r}).write_text("imported")
NUMBER = 3


def metric(fake, real):
    \"\"\"How far the means are apart.\"\"\"
    return (fake.mean(0) - real.mean(0)).norm()


def features(x):
    return x.flatten(1)


def starred(*options, **more):
    pass


def untyped(*, steps):
    pass
"""
TWO = "a_watched_guest"


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> tuple[Path, Path]:
    """Two tables of points."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    for name, shift in (("a", 0.0), ("b", 3.0)):
        np.save(folder / f"{name}.npy", rng.normal(size=(200, 2)) + shift)
    return folder / "a.npy", folder / "b.npy"


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """The current folder with a guest that leaves a mark when it is imported; the mark."""
    marker, source = tmp_path / "mark", Path(__file__).parent / "between.py"
    (tmp_path / "between_for_this_test.py").write_text(source.read_text())
    (tmp_path / f"{TWO}.py").write_text(WATCHED.format(source="between_for_this_test", marker=str(marker)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part not in ("", os.getcwd())])
    yield marker
    for name in (TWO, "between_for_this_test"):
        sys.modules.pop(name, None)


def forget(marker: Path) -> None:
    """As if the guest had never been imported."""
    marker.unlink(missing_ok=True)
    sys.modules.pop(TWO, None)


@pytest.fixture
def run(watched, tables, capsys, tmp_path) -> Path:
    """A run of the watched guest, then forgotten."""
    words = ["train", f"{TWO}:experiment", "--sources", tables[0], "--data", tables[1], "--steps", 4, "--batch", 16]
    code, _, err = call(capsys, *words, "--run", tmp_path / "run", "--trust", f"{TWO}:experiment")
    assert code == 0, err
    assert watched.exists()
    forget(watched)
    return tmp_path / "run"


def test_no_command_imports_what_only_a_run_folder_names(run, watched, tables, capsys, tmp_path):
    name = f"{TWO}:experiment"
    for words in (
        ["sample", run, "-n", 3, "--out", tmp_path / "x.npz"],
        ["evaluate", run],
        ["transport", run, tables[0], "--out", tmp_path / "t.npz"],
        ["train", name, "--run", run, "--resume"],
        ["train", name, "--help"],
        ["sample", run, "-n", 3, "--out", tmp_path / "x.npz", "--trust", f"{TWO}:other", "a_watched", f"{TWO}x"],
    ):
        code, out, err = call(capsys, *words)
        assert code == 2, words
        assert out == ""
        assert err.count("\n") == 1
        assert f"--trust {name}" in err
        assert not watched.exists(), words
    assert TWO not in sys.modules


def test_a_report_needs_no_import(run, watched, capsys):
    code, out, _ = call(capsys, "report", run, "--json")
    assert code == 0
    assert f"{TWO}:experiment" in Path(json.loads(out)["report"]).read_text()
    assert not watched.exists()


def test_no_option_of_another_recipe_and_no_stored_leave_imports_a_guest(run, watched, capsys, tmp_path):
    described = json.loads((run / "run.json").read_text())
    described["options"]["trust"] = [TWO]
    described["trust"] = [TWO]
    (run / "run.json").write_text(json.dumps(described))
    code, _, err = call(capsys, "train", f"{TWO}:experiment", "--run", run, "--resume")
    assert code == 2
    assert err.count("\n") == 1
    assert not watched.exists()


def test_leave_for_a_name_or_its_module_lets_a_guest_in(run, watched, tables, capsys, tmp_path):
    for trust in (f"{TWO}:experiment", TWO):
        code, _, err = call(capsys, "sample", run, "-n", 3, "--out", tmp_path / "x.npz", "--trust", trust)
        assert code == 0, err
        assert watched.exists()
        assert np.load(tmp_path / "x.npz")["x"].shape == (3, 2)
        forget(watched)
    words = ["transport", run, tables[0], "--out", tmp_path / "t.npz", "--trust", TWO]
    assert call(capsys, *words)[0] == 0
    code, out, err = call(capsys, "train", f"{TWO}:experiment", "--run", run, "--resume", "--trust", TWO, "--json")
    assert code == 0, err
    assert json.loads(out)["step"] == 4
    assert "trust" not in json.loads((run / "run.json").read_text())["options"]


def test_metrics_and_features_of_ones_own_need_leave_too(watched, tables, capsys):
    words = ["evaluate", "--fake", tables[0], "--real", tables[1], "--json"]
    for more in (["--metrics", f"mmd,{TWO}:metric"], ["--features", f"{TWO}:features"]):
        code, _, err = call(capsys, *words, *more)
        assert code == 2
        assert err.count("\n") == 1
        assert f"--trust {TWO}:" in err
        assert not watched.exists()
    code, out, err = call(capsys, *words, "--metrics", f"mmd,{TWO}:metric", "--trust", f"{TWO}:metric")
    assert code == 0, err
    a, b = (np.load(path) for path in tables)
    found = json.loads(out)["metrics"]
    assert list(found) == ["mmd", "metric"]
    assert found["metric"]["about"] == "How far the means are apart."
    assert "about" not in found["mmd"]
    forget(watched)
    code, out, err = call(capsys, *words, "--features", f"{TWO}:features", "--metrics", "w2", "--trust", TWO)
    assert code == 0, err
    assert next(iter(json.loads(out)["metrics"])).startswith(f"w2@{TWO}.features-")
    assert np.linalg.norm(a.mean(0) - b.mean(0)) > 3  # what the metric saw, in standard deviations


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{TWO}:missing", "has no missing"),
        ("nowhere_at_all:experiment", "no module nowhere_at_all"),
        ("json.nowhere:dumps", "no module json.nowhere"),
        (f"{TWO}:", r"expected package.module:NAME"),
        (":experiment", r"expected package.module:NAME"),
        (f"{TWO}:experiment:more", r"expected package.module:NAME"),
        (f"{TWO}:NUMBER", "is a int, not a function"),
        (f"{TWO}:starred", "give every parameter a name"),
        (f"{TWO}:untyped", "neither a type nor a default"),
        ("broken_guest:experiment", "cannot be imported (ZeroDivisionError"),
        ("hungry_guest:experiment", "needs the module nowhere_at_all"),
    ],
)
def test_a_guest_that_cannot_be_had_is_refused_in_one_line(watched, tmp_path, capsys, name, words):
    (tmp_path / "broken_guest.py").write_text("experiment = 1 / 0\n")
    (tmp_path / "hungry_guest.py").write_text("import nowhere_at_all\n")
    code, out, err = call(capsys, "train", name, "--run", tmp_path / "run", "--trust", name)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert words.replace("\\", "") in err
    assert not (tmp_path / "run").exists()


def test_the_options_of_a_guest_are_read_off_its_signature(watched, capsys):
    code, out, _ = call(capsys, "train", f"{TWO}:experiment", "--trust", f"{TWO}:experiment", "--help")
    assert code == 0
    for word in ("--sources", "Table of points to carry, PATH[:key]. (required)", "--width INT", "--save-every"):
        assert word in out
    assert call(capsys, "train", f"{TWO}:experiment", "--trust", TWO, "--breadth", 3)[0] == 2


@pytest.mark.slow
def test_the_installed_command_finds_guests_in_the_current_folder(watched, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "elsewhere" / "pushforward_script.py"
    script.write_text("from pushforward.cli import main\nmain()\n")
    line = [sys.executable, str(script), "train", f"{TWO}:experiment", "--trust", TWO, "--help"]
    source = str(Path(guests.__file__).parents[1])
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": source})
    assert done.returncode == 0, done.stderr
    assert "--sources" in done.stdout
    line[1:1] = ["-P"]  # who asks Python for a safe path gets one
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": source})
    assert done.returncode == 2
    assert "no module" in done.stderr


def test_leave_is_exact():
    assert guests.trusted("a.b:C", ["a.b:C"])
    assert guests.trusted("a.b:C", ["a.b"])
    for other in (["a"], ["a.b:D"], ["a.b."], ["a.b:C.d"], []):
        assert not guests.trusted("a.b:C", other)
        with pytest.raises(UsageError, match=r"--trust a\.b:C"):
            guests.admit("a.b:C", other, "recipe")


def test_guests_among_stored_arguments_are_found_at_any_depth():
    stored = {"data": "toy:ring8", "divergence": "KL", "critic": {"divergence": "a.b:C", "width": 3}}
    assert guests.named(stored) == ["a.b:C"]
