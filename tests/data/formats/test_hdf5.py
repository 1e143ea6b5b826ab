"""An HDF5 file of a stranger neither takes the process with it nor leads to another file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pushforward.data.formats import cells, hdf5
from pushforward.errors import DataError
from tests.malformed import whole

h5py = pytest.importorskip("h5py")


@pytest.fixture
def good(tmp_path) -> Path:
    path = tmp_path / "x.h5ad"
    path.write_bytes(whole(np.random.default_rng(0))["x.h5ad"])
    return path


def test_a_whole_file_passes_and_is_walked_once(good, monkeypatch):
    assert hdf5.walked(good) == good
    monkeypatch.setattr(hdf5.subprocess, "run", lambda *_, **__: pytest.fail("walked again"))
    assert cells.read(good).body.shape == (60, 3)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", "hangs over the file"),
        ("import os; os.kill(os.getpid(), 11)", "crashes over the file"),
        ("import time; time.sleep(60)", "not through with the file"),
        ("import no_such_module", "No module named .no_such_module."),
        ("pass", "ended with 0"),
    ],
    ids=["hang", "crash", "wait", "fault", "silence"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_ends_the_other_process_is_one_line_in_this_one(script, words, good, tmp_path, monkeypatch):
    (tmp_path / "walk.py").write_text(script)
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(hdf5, "CLOCK", 3 if "sleep" in script else 60)
    for read in (cells.read, cells.whole):
        with pytest.raises(DataError, match=words) as caught:
            read(good)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["link", "virtual", "raw"])
def test_what_leads_to_another_file_is_refused(kind, good, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(480))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((60, 3))
    with h5py.File(good, "a") as file:
        layers = file.create_group("layers")
        if kind == "link":
            layers["y"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((60, 3), float)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (60, 3))
            layers.create_virtual_dataset("y", layout)
        else:
            layers.create_dataset("y", (60, 1), float, external=[(str(tmp_path / "secret"), 0, 480)])
    with pytest.raises(DataError, match="'layers/y' leads to another file"):
        cells.read(good, "y")
