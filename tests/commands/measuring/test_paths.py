"""What an evaluation keeps of paths: the drift of any method that has some, in data units, as far as time allows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.commands.measuring import measure_run
from pushforward.commands.measuring.paths import keep_paths
from pushforward.commands.watching import Until
from pushforward.data import Batches
from pushforward.data.toys import plane
from pushforward.data.toys.digits import digits
from pushforward.errors import DataError
from pushforward.randomness import Noise
from pushforward.report.kept.paths import FILE, Paths, read_paths
from pushforward.training.experiment import Experiment
from pushforward.types import Batch, Labels, Logs, Randomness, Samples

SCALE, SHIFT = np.array([3.0, 0.5]), np.array([5.0, -2.0])
LINE = replace(plane.load("gaussians4", n_train=400, n_test=200), decode=lambda x: x.double().numpy() * SCALE + SHIFT,
               classes=("north", "south"), unit=None)  # fmt: skip
EVENT = (2,)


@dataclass
class Curling:
    """A guest: X_t = (1 + t) z in as many stages as it has, along the drift x / (1 + t)."""

    event: tuple[int, ...] = EVENT
    stages: int = 2
    calls: int = 8
    classes: Labels | None = None

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        yield from ()

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        return (1 + self.stages) * (rng or Noise(0)).normal(n, *self.event)

    def paths(self, n: int, rng: Randomness, labels: Labels | None = None) -> tuple[list[float], Tensor]:
        self.classes = labels
        times, z = [self.stages * k / 40 for k in range(41)], rng.normal(n, *self.event)
        return times, torch.stack([(1 + t) * z for t in times])

    def drift(self, x: Samples, t: float, rng: Randomness, labels: Labels | None = None) -> Samples:
        assert labels is None or len(labels) == len(x)
        return x / (1 + t)


@dataclass
class Costly(Curling):
    """One that finds its energy too, and fails if it is asked."""

    asked: int = 0

    def energies(self, n: int, rng: Randomness) -> tuple[float, float]:
        self.asked += n
        return 2.0, 2.5


def of(method: Curling, data=LINE, conditional: bool = False) -> Experiment:
    return Experiment(method, Batches(data.train, 8), data, 1, conditional=conditional)


def looked(folder: Path, experiment: Experiment, until: Until = Until()) -> Paths | None:
    keep_paths(folder, experiment, 7, 0, until)
    found, damaged = read_paths(folder / "samples")
    assert damaged == []
    return found


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_drift_of_a_guest_is_kept_in_data_units_at_times_within_each_stage(tmp_path, stages):
    found = looked(tmp_path, of(Curling(stages=stages)))
    assert found is not None
    assert (found.step, found.calls, found.stages, found.energies) == (7, 8, stages, None)
    assert [int(field.time) for field in found.fields] == [k for k in range(stages) for _ in range(3)]
    for field in found.fields:
        assert field.time in found.times
        np.testing.assert_allclose(field.drift, (field.at - SHIFT) / (1 + field.time), rtol=1e-4, atol=1e-4)
        cloud = found.x[found.times.tolist().index(field.time)]
        inside = ((field.at.min(0) < cloud) & (cloud < field.at.max(0))).all(1)
        assert inside.mean() > 0.97
    start = (found.x[0] - SHIFT) / SCALE
    np.testing.assert_allclose((found.x[-1] - SHIFT) / SCALE, (1 + stages) * start, rtol=1e-4, atol=1e-5)


def test_times_between_stages_and_both_ends_are_kept_of_however_many(tmp_path):
    class Fine(Curling):
        def paths(self, n, rng, labels=None):
            times = [2 * k / 1234 for k in range(1235)]
            return times, torch.stack([(1 + t) * torch.ones(n, 2) for t in times])

    found = looked(tmp_path, of(Fine()))
    assert found is not None
    assert len(found.times) <= 121
    assert {0.0, 1.0, 2.0} <= set(found.times.tolist())
    np.testing.assert_allclose(found.x[:, 0], (1 + found.times[:, None]) * SCALE + SHIFT, rtol=1e-5)


def test_images_are_kept_as_levels_at_a_few_times(tmp_path):
    data = digits(limit=50)
    found = looked(tmp_path, of(Curling(data.event), data))
    assert found is not None
    assert found.x.dtype == np.uint8
    assert found.x.shape == (len(found.times), 4, 8, 8)
    assert len(found.times) <= 10
    assert found.fields == ()


def test_points_of_more_numbers_leave_numbers_alone(tmp_path):
    wide = replace(LINE, train=torch.randn(50, 3), test=torch.randn(20, 3))
    found = looked(tmp_path, of(Costly((3,)), wide))
    assert found is not None
    assert found.x is None
    assert found.energies == (2.0, 2.5)


def test_points_of_classes_are_all_of_the_first_and_it_is_named(tmp_path):
    method = Curling()
    found = looked(tmp_path, of(method, conditional=True))
    assert found is not None
    assert found.label == "north"
    assert method.classes is not None
    assert not method.classes.any()


def test_what_there_is_no_time_for_is_left_out(tmp_path):
    over = Until(time.monotonic() - 1)
    assert looked(tmp_path, of(Costly()), over) is None
    short, method = Until(time.monotonic() + 1e4), Costly(calls=1)
    assert looked(tmp_path, of(method), short).energies == (2.0, 2.5)

    class Slow(Costly):
        def paths(self, n, rng, labels=None):
            time.sleep(0.05)
            return super().paths(n, rng, labels)

    found = looked(tmp_path, of(Slow(calls=1)), Until(time.monotonic() + 2))
    assert found is not None
    assert found.energies is None


def test_a_method_without_paths_leaves_none_and_an_evaluation_keeps_those_of_another(tmp_path):
    class Plain:
        learn, sample = Curling.learn, Curling.sample
        event, stages = EVENT, 2

    measure_run(tmp_path, "last", of(Plain()), 3)
    assert not (tmp_path / "samples").exists()
    measure_run(tmp_path, "last", of(Costly()), 3)
    found = read_paths(tmp_path / "samples")[0]
    assert found is not None
    assert found.step == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (([0.0, 1.0], torch.zeros(2, 3, 2)), r"shape \(2, 3, 2\)"),
        (([0.0, 1.0, 2.0], torch.zeros(2, 256, 2)), "3 times"),
        (([0.0, 1.0, 1.0], torch.zeros(3, 256, 2)), "rise from 0"),
        (([0.5, 1.0], torch.zeros(2, 256, 2)), "rise from 0"),
    ],
)
def test_paths_of_another_form_are_refused_in_a_line(tmp_path, answer, words):
    class Wrong(Curling):
        def paths(self, n, rng, labels=None):
            return answer

    with pytest.raises(DataError, match=words):
        keep_paths(tmp_path, of(Wrong()), 1, 0)
    assert not (tmp_path / "samples" / FILE).exists()
