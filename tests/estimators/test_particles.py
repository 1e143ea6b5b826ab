"""`ParticleFlow` beyond scikit-learn's contract: constraints, classes, tracers, other flows, reasons to stop, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import make_moons

from pushforward import ParticleFlow
from pushforward.errors import DataError, UsageError
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.training.checkpoint import digest_of


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def flow(**changes) -> ParticleFlow:
    small = {"steps": 25, "warmup": 4, "width": 16, "depth": 2, "batch_size": 64, "random_state": 0}
    return ParticleFlow(**small | changes)


def moons(seed: int, n: int = 200) -> np.ndarray:
    return make_moons(n, noise=0.05, random_state=seed)[0]


@pytest.mark.parametrize("critic", ["bjorck", "spectral", "reference", "penalty"])
def test_no_row_moves_faster_than_the_slope_allows(critic):
    source = moons(1) + 4
    model = flow(critic=critic, slope=0.3, step=0.5, decay=1.0).fit(moons(0), source)
    way = (model.unit_.encode(model.particles_) - model.unit_.encode(source)).norm(dim=1)
    assert float(way.max()) <= 1.001 * 0.3 * 0.5 * 25
    assert model.history_["fastest"].max() <= 1.001 * 0.3
    if critic != "penalty":
        assert np.nanmax(model.history_["certificate"]) <= 1.001 * 0.3


@pytest.mark.parametrize("scheme", ["euler", "heun", "ab2", "ab5"])
@pytest.mark.parametrize("refit", [False, True])
def test_the_source_is_carried_to_the_particles_and_extra_points_ride_along(scheme, refit):
    source, tracers = moons(1) + 2, moons(2, 30) + 2
    model = flow(scheme=scheme, refit=refit, steps=8).fit(moons(0), source, tracers=tracers)
    np.testing.assert_allclose(model.transport(source), model.particles_, atol=1e-4)
    np.testing.assert_allclose(model.transport(tracers), model.tracers_, atol=1e-4)
    np.testing.assert_array_equal(
        model.particles_, flow(scheme=scheme, refit=refit, steps=8).fit(moons(0), source).particles_
    )


def test_classes_are_laws_of_their_own():
    x = np.random.default_rng(0).normal(size=(300, 2)) * 0.3
    y = np.array(["left", "right"])[np.arange(300) % 2]
    x[:, 0] += np.where(y == "right", 3.0, -3.0)
    model = flow(steps=120, critic_steps=5).fit(x, labels=y)
    assert (np.sign(model.particles_[:, 0]) == np.where(model.labels_ == "right", 1, -1)).mean() > 0.97
    wanted = np.array(["right"] * 20 + ["left"] * 20)
    drawn = model.sample(40, random_state=1, labels=wanted)
    assert (np.sign(drawn[:, 0]) == np.where(wanted == "right", 1, -1)).mean() > 0.9
    share = (model.sample(400, random_state=2)[:, 0] > 0).mean()
    assert share == pytest.approx(0.5, abs=0.1)
    again = model.transport(np.zeros((2, 2)), labels=["right", "left"])
    assert again[0, 0] > 0 > again[1, 0]


def test_source_classes_are_kept():
    x, y = moons(0), np.arange(200) % 3
    model = flow(steps=3).fit(x, x[:50] + 1, labels=y, source_labels=y[:50])
    np.testing.assert_array_equal(model.labels_, y[:50])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (DataError, {"labels": np.zeros(7)}, "one a sample"),
        (UsageError, {"source_labels": np.zeros(200)}, "give both"),
        (UsageError, {"source": moons(1), "labels": np.zeros(200)}, "needs source_labels"),
        (DataError, {"source": moons(1), "labels": np.zeros(200), "source_labels": np.ones(200)}, "unknown"),
        (UsageError, {"labels": np.zeros(200), "tracers": moons(2)}, "leave one of them out"),
    ],
)
def test_labels_that_do_not_fit_are_refused(kind, options, message):
    with pytest.raises(kind, match=message):
        flow(steps=1).fit(moons(0), **options)


def test_held_out_divergence_is_above_none_and_followed_over_time():
    model = flow(steps=40).fit(moons(0), moons(1) + 2, held=moons(3))
    held = model.history_["held"]
    looked = np.flatnonzero(~np.isnan(held))
    stride = looked[1]
    np.testing.assert_array_equal(looked, [*range(0, 39, stride), 39])  # at a stride, and at the last step
    assert held[-1] < 0.2 * held[0]


@pytest.mark.parametrize("other", [MMDFlow(), SinkhornFlow()], ids=lambda other: type(other).__name__)
def test_any_flow_moves_the_particles_and_carries_new_points(other):
    source = moons(1) + 1
    model = ParticleFlow(flow=other, steps=40, step=0.5, warmup=0, random_state=0).fit(moons(0), source)
    assert model.score(moons(3)) > 3 * ParticleFlow(flow=other, steps=1, step=1e-6).fit(moons(0), source).score(
        moons(3)
    )
    np.testing.assert_allclose(model.transport(source), model.particles_, atol=1e-3)


def test_it_stops_when_nothing_moves_and_says_why():
    model = flow(steps=400, tol=0.05, n_particles=100).fit(moons(0))
    assert model.n_iter_ < 400
    assert "kinetic energy" in model.stopped_
    assert all(len(values) == model.n_iter_ for values in model.history_.values())


@pytest.mark.parametrize("options", [{"scheme": "ab3"}, {"refit": True, "scheme": "heun"}, {"record": 4}], ids=str)
def test_files_bring_back_classes_history_and_fields(options, tmp_path):
    x, y = moons(0), np.array(["a", "b"])[np.arange(200) % 2]
    model = flow(steps=9, **options).fit(x, x[:100] + 2, labels=y, source_labels=y[:100])
    model.save(tmp_path / "flow.safetensors")
    again = ParticleFlow.load(tmp_path / "flow.safetensors")
    np.testing.assert_array_equal(again.transport(x, y), model.transport(x, y))
    np.testing.assert_array_equal(again.labels_, model.labels_)
    np.testing.assert_array_equal(again.sample(5, 1, labels="b"), model.sample(5, 1, labels="b"))
    np.testing.assert_array_equal(again.history_["kinetic"], model.history_["kinetic"])


def test_a_flow_that_trains_nothing_is_not_warmed_up():
    class Counted:
        calls = 0

        def velocity(self, q, p):
            self.calls += 1
            return lambda x, t=0.0: p.mean(0) - x

    counted = Counted()
    ParticleFlow(flow=counted, steps=3, record=0).fit(moons(0))
    assert counted.calls == 3


def test_a_flow_of_one_s_own_is_not_written(tmp_path):
    model = ParticleFlow(flow=MMDFlow(), steps=2, warmup=0).fit(moons(0))
    with pytest.raises(DataError, match="MMDFlow"):
        model.save(tmp_path / "flow.safetensors")


def test_without_recording_nothing_is_carried():
    model = flow(steps=2, record=0).fit(moons(0))
    with pytest.raises(UsageError, match="record=1"):
        model.transport(moons(1))
    assert model.sample(5, 0).shape == (5, 2)


def test_a_warm_up_is_counted_in_calls_of_the_critic_also_where_an_older_file_counted_updates(tmp_path):
    model = flow(steps=2, critic_steps=3, warmup=4).fit(moons(0), tracers=moons(1)[:5])
    model.save(path := tmp_path / "new.safetensors")
    assert ParticleFlow.load(path).warmup == 4
    with safe_open(path, "pt") as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    run = json.loads(header["run"])
    assert run.pop("format") == 2
    run["params"]["warmup"] = 10
    tensors["extra"] = tensors.pop("tracers")
    header = {"run": json.dumps(run), "resume": ""}
    save_file(tensors, path, header | {"digest": digest_of(tensors, header)})
    old = ParticleFlow.load(path)
    assert old.warmup == 4
    np.testing.assert_array_equal(old.tracers_, model.tracers_)


def test_a_flow_of_ones_own_with_a_critic_warms_up_and_one_without_does_not():
    class Counted:
        calls = 0

        def velocity(self, q, p):
            self.calls += 1
            return lambda x, t=0.0: p.mean(0) - x

    class Critical(Counted):
        logistic, dual, fastest = False, True, None

    plain, critical = Counted(), Critical()
    for flow in (plain, critical):
        ParticleFlow(flow=flow, steps=3, warmup=5, record=0, random_state=0).fit(moons(0))
    assert critical.calls == plain.calls + 5
