"""What a run's numbers are told in: the data set says it, and its name says nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pushforward import cli
from pushforward.commands.measuring import measure_run
from pushforward.commands.measuring.drawing import drawn
from pushforward.data import Batches, Dataset
from pushforward.data.toys import plane
from pushforward.data.toys.digits import digits
from pushforward.metrics.core.features import RAW
from pushforward.metrics.networks.digits8 import digits8
from pushforward.plain.findings import FINDINGS
from pushforward.randomness import Noise
from pushforward.recipes.parts.wiring import judge
from pushforward.training.experiment import Experiment
from pushforward.types import Batch, Labels, Logs, Randomness, Samples

SCALE = 40.0


@dataclass
class Normal:
    """Samples of the standard normal law, in model units."""

    dim: int

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        yield from ()

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        return (rng or Noise(0)).normal(n, self.dim)


def distance(data: Dataset, folder: Path) -> float:
    """Sliced W2 of the normal law to the data, as a run's evaluation tells it."""
    experiment = Experiment(Normal(2), Batches(data.train, 8), data, 1)
    return measure_run(folder, "last", experiment, 0)["sliced_w2"].value


@pytest.mark.parametrize("name", ["toy:corners", "corners.npy"])
def test_distances_are_in_data_units_where_columns_share_one_and_in_widths_elsewhere(name, tmp_path):
    corners = plane.load("gaussians4", n_train=400, n_test=200)
    wide = replace(corners, name=name, decode=lambda x: corners.decode(x) * SCALE, mixture=None)
    narrow = replace(wide, decode=corners.decode)
    assert distance(wide, tmp_path) == pytest.approx(SCALE * distance(narrow, tmp_path), rel=1e-4)
    own = [distance(replace(data, one_unit=False), tmp_path) for data in (wide, narrow)]  # in widths, which have none
    assert own[0] == pytest.approx(own[1], rel=1e-4)


@pytest.mark.parametrize("name", ["digits", "my/pictures"])
def test_images_are_judged_by_the_network_that_they_bring(name):
    found = replace(digits(limit=50), name=name)
    seen = judge("auto", found)
    assert seen is not None
    assert seen.id == digits8().id
    assert judge("auto", replace(found, network=None)) is None
    assert judge("raw", found) is None


@pytest.mark.parametrize("rows", [10, 25, 40, 54])
def test_a_run_on_few_rows_ends_well_and_says_what_is_not_measured(tmp_path, rows, capsys):
    x = np.random.default_rng(0).normal(size=(rows, 2))
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b", comments="")
    words = ["train", "toy_particles", "--data", str(tmp_path / "x.csv"), "--steps", "2", "--particles", "20",
             "--batch", "5", "--width", "8", "--depth", "1", "--warmup", "1",
             "--run", str(tmp_path / "run"), "--json"]  # fmt: skip
    for more in ([], ["--resume"]):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, *more])
        assert not stop.value.code
        found = json.loads(capsys.readouterr().out)
        assert found["metrics"] or "1 held-out row, at least 2 are needed" in found["warnings"][0]
        told = json.loads((tmp_path / "run" / "metrics.json").read_text())
        if not found["metrics"]:
            assert {*FINDINGS, "mmd", "sliced_w2"} - {"few"} <= told["unknown"].keys()
            assert set(told["unknown"].values()) == {found["warnings"][0]}
            assert "few" not in told["unknown"]
        assert (tmp_path / "run" / "report.html").exists()
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "run"), "-n", "3", "--json"])
    assert (stop.value.code or 0) == (3 if rows == 10 else 0)
    assert "at least 2" in capsys.readouterr().err if rows == 10 else True


@pytest.mark.parametrize(
    ("one_unit", "own", "words"),
    [(False, False, ""), (False, True, "not in a run's own features"), (True, False, "not in images or in points")],
)
def test_why_impossible_values_are_not_looked_for_in_samples_of_a_run_is_said_of_that_run(one_unit, own, words):
    data = replace(plane.load("gaussians4", n_train=100, n_test=50), one_unit=one_unit)
    experiment = Experiment(Normal(2), Batches(data.train, 8), data, 1, features=RAW if own else None)
    pair, _, _ = drawn(experiment, 0, None)
    assert words in pair.unsought.get("support", "")
    assert ("support" in pair.unsought) == bool(words)
