"""Runs whose denoiser is exact and whose images are known, and pictures to give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from guests.commands import HERE, trained
from PIL import Image

TRUST = ["--trust", "remembering"]
SIDE = 8


@dataclass(frozen=True)
class Home:
    """A folder with runs and pictures.

    Attributes:
        base: The folder.
        grey: Images of the grey run, (n, 8, 8), which has classes "a" and "b", dark and bright.
        colour: Images of the run in colour, (n, 8, 8, 3).
    """

    base: Path
    grey: np.ndarray
    colour: np.ndarray

    def picture(self, name: str, levels: np.ndarray) -> Path:
        """A PNG file beside the runs."""
        path = self.base / "pictures" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(levels).save(path)
        return path


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    """Runs `grey`, `colour`, `points`, `odd` of 7 x 7 pixels, and `showing`, which has no denoiser."""
    base, rng = tmp_path_factory.mktemp("editing"), np.random.default_rng(0)
    grey = rng.integers(0, 120, size=(40, SIDE, SIDE)).astype(np.uint8)
    grey[20:] += 130
    colour = rng.integers(0, 256, size=(40, SIDE, SIDE, 3)).astype(np.uint8)
    np.savez(base / "grey.npz", x=grey, y=np.array(["a", "b"])[np.arange(40) // 20])
    np.savez(base / "colour.npz", x=colour)
    np.save(base / "points.npy", rng.normal(size=(40, 2)))
    name = "remembering:experiment"
    trained(base / "grey", name, "--data", base / "grey.npz:x", "--labels", "y", "--conditional", *TRUST)
    trained(base / "colour", name, "--data", base / "colour.npz", *TRUST)
    trained(base / "points", name, "--data", base / "points.npy", *TRUST)
    np.savez(base / "odd.npz", x=grey[:, 1:, 1:])
    trained(base / "odd", name, "--data", base / "odd.npz", *TRUST)
    trained(base / "showing", "remembering:showing", "--data", base / "colour.npz", *TRUST)
    return Home(base, grey, colour)


@pytest.fixture(autouse=True)
def here(monkeypatch) -> None:
    """Where guests are imported from."""
    monkeypatch.chdir(HERE)
