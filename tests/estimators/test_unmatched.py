"""Rows of a source without a counterpart: they stay or follow, and new points fare like them, from files as well."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone

from pushforward import LatentFlow, ParticleFlow
from pushforward.errors import DataError, UsageError
from pushforward.estimators.unbalanced import parting
from pushforward.estimators.unbalanced.parting import Parting
from pushforward.flows.sinkhorn import SinkhornFlow
from pushforward.training.checkpoint import digest_of

SMALL = {"steps": 12, "warmup": 4, "width": 8, "depth": 2, "critic_steps": 2, "random_state": 0}
MAKE = {
    "particles": lambda **more: ParticleFlow(**SMALL | more),
    "codes": lambda **more: LatentFlow("pca:2", **SMALL | more),
    "learned codes": lambda **more: LatentFlow("autoencoder:2", codec_steps=500, codec_width=16, **SMALL | more),
}
every = pytest.mark.parametrize("kind", MAKE)
WAYS = pytest.mark.parametrize("unmatched", ["stay", "follow"])
MIDDLES = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 12.0]])


def cloud(seed: int, *sizes: int, shift: float = 0.0) -> np.ndarray:
    """Three clusters on a plane of three dimensions, so that two numbers say where a row is."""
    names = np.repeat(np.arange(3), sizes)
    flat = np.random.default_rng(seed).standard_normal((len(names), 2)) + MIDDLES[names] + shift
    return np.column_stack([flat, flat.sum(1) / 2])


TARGET, SOURCE = cloud(1, 120, 0, 60), cloud(2, 60, 50, 40, shift=0.5)
LOST = np.repeat([False, True, False], [60, 50, 40])


@every
def test_rows_without_a_counterpart_stay_bit_for_bit_and_the_others_move(kind):
    model = MAKE[kind](unmatched="stay").fit(TARGET, SOURCE)
    np.testing.assert_array_equal(model.matched_, ~LOST)
    np.testing.assert_array_equal(model.particles_[LOST], SOURCE[LOST])
    assert (np.abs(model.particles_ - SOURCE)[~LOST].max(1) > 0).all()
    assert model.particles_.shape == SOURCE.shape
    assert model.shares_.shape == (180,)
    assert model.shares_.mean() == pytest.approx(1)
    assert model.shares_[:120].sum() / 180 == pytest.approx(0.6, abs=0.06)
    assert model.notes_[0] == (
        "50 of 150 rows of the source (33%) have no counterpart in the target (matched_): they stay where they are"
    )


def test_they_follow_the_ten_nearest_that_move():
    model = MAKE["particles"](unmatched="follow").fit(TARGET, SOURCE)
    way, z = model.particles_ - SOURCE, model.unit_.encode(SOURCE).numpy()
    for k in np.flatnonzero(LOST)[::7]:
        near = np.argsort(np.linalg.norm(z[~LOST] - z[k], axis=1))[:10]
        np.testing.assert_allclose(way[k], way[~LOST][near].mean(0), atol=1e-5)
    assert "they follow the 10 nearest rows that move" in model.notes_[0]
    np.testing.assert_array_equal(
        model.particles_[~LOST], MAKE["particles"](unmatched="stay").fit(TARGET, SOURCE).particles_[~LOST]
    )


def test_codes_follow_the_ten_nearest_codes_that_move():
    model = MAKE["codes"](unmatched="follow").fit(TARGET, SOURCE)
    z = model.method_.encode(model.unit_.encode(SOURCE)).double().numpy()
    way = model.codes_ - z
    for k in np.flatnonzero(LOST)[::7]:
        near = np.argsort(np.linalg.norm(z[~LOST] - z[k], axis=1))[:10]
        np.testing.assert_allclose(way[k], way[~LOST][near].mean(0), atol=1e-5)


@WAYS
@every
def test_the_source_arrives_at_the_particles_and_new_points_fare_like_the_rows_around_them(kind, unmatched):
    model = MAKE[kind](unmatched=unmatched).fit(TARGET, SOURCE)
    np.testing.assert_allclose(model.transport(SOURCE), model.particles_, atol=1e-4)
    new = cloud(3, 30, 30, 30, shift=0.5)
    moved = model.transport(new)
    apart = np.repeat([False, True, False], 30)
    assert (np.abs(moved - new)[~apart].max(1) > 0).all()
    if unmatched == "stay":
        np.testing.assert_array_equal(moved[apart], new[apart])
        np.testing.assert_array_equal(model.transport(SOURCE)[LOST], SOURCE[LOST])
    else:
        assert (np.abs(moved - new)[apart].max(1) > 0).all()
    np.testing.assert_allclose(model.transport(new[25:65]), moved[25:65], atol=1e-4)  # whoever else is asked about


@WAYS
def test_tracers_fare_as_if_they_were_carried_along(unmatched):
    tracers = cloud(4, 10, 10, 10)
    model = MAKE["particles"](unmatched=unmatched).fit(TARGET, SOURCE, tracers=tracers)
    np.testing.assert_allclose(model.transport(tracers), model.tracers_, atol=1e-4)
    assert (model.tracers_[10:20] == tracers[10:20]).all() == (unmatched == "stay")


def test_held_out_data_count_in_the_shares_that_are_asked():
    """Mass that nothing moves to would else keep the divergence up for ever."""
    target, held = (np.concatenate([cloud(k, 120, 0, 60), cloud(k, 0, 0, 300, shift=20)]) for k in (5, 6))
    kept, balanced = (MAKE["particles"](unmatched=how).fit(target, SOURCE, held=held) for how in ("stay", "move"))
    assert np.nanmax(kept.history_["held"]) < 0.05  # the shift alone
    assert balanced.history_["held"][0] > 0.15


@WAYS
@every
def test_where_nothing_has_a_counterpart_nothing_moves_and_a_note_says_so(kind, unmatched, tmp_path):
    target, source = cloud(1, 150, 0, 0), cloud(2, 80, 0, 0, shift=40)
    model = MAKE[kind](unmatched=unmatched).fit(target, source)
    assert not model.matched_.any()
    np.testing.assert_array_equal(model.particles_, source)
    assert model.notes_[0].startswith("none of the 80 rows of the source has a counterpart in the target, and nothing")
    model.save(tmp_path / "flow.safetensors")
    for fitted in (model, type(model).load(tmp_path / "flow.safetensors"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(fitted.transport(target), target)
        assert fitted.sample(200, random_state=1).shape == (200, 3)


@WAYS
@every
def test_files_and_pickles_bring_everything_back(kind, unmatched, tmp_path):
    model = MAKE[kind](unmatched=unmatched).fit(TARGET, SOURCE)
    model.save(path := tmp_path / "flow.safetensors")
    new = cloud(3, 20, 20, 20)
    for again in (type(model).load(path), pickle.loads(pickle.dumps(model))):
        assert again.unmatched == unmatched
        for name in ("particles_", "matched_", "shares_"):
            np.testing.assert_array_equal(vars(again)[name], vars(model)[name])
        np.testing.assert_array_equal(again.transport(new), model.transport(new))
        np.testing.assert_array_equal(again.sample(9, 2), model.sample(9, 2))
        assert again.notes_ == model.notes_
        assert again.score(TARGET) == model.score(TARGET)
    if kind != "particles":
        np.testing.assert_array_equal(type(model).load(path).codes_, model.codes_)
    np.testing.assert_array_equal(clone(model).fit(TARGET, SOURCE).particles_, model.particles_)


def rewritten(path, run=None, drop=(), **tensors) -> None:
    """A file with other words and tensors, under a right digest."""
    with safe_open(path, "pt") as file:
        words = json.loads(file.metadata()["run"])
        kept = {name: file.get_tensor(name) for name in file.keys() if name not in drop}  # noqa: SIM118
    header = {"run": json.dumps((run or (lambda it: it))(words)), "resume": ""}
    kept |= tensors
    save_file(kept, path, header | {"digest": digest_of(kept, header)})


@pytest.mark.parametrize("kind", ["particles", "codes"])
def test_a_file_of_before_the_option_was_there_is_that_of_a_balanced_flow(kind, tmp_path):
    model = MAKE[kind]().fit(TARGET, SOURCE)
    model.save(path := tmp_path / "flow.safetensors")

    def without(run: dict[str, Any]) -> dict[str, Any]:
        assert run["params"].pop("unmatched") == "move"
        return run

    rewritten(path, without)
    old = type(model).load(path)
    assert old.unmatched == "move"
    assert old.matched_ is old.shares_ is old.counterparts_ is None
    np.testing.assert_array_equal(old.transport(SOURCE), model.transport(SOURCE))


@pytest.mark.parametrize("kind", ["particles", "codes"])
@pytest.mark.parametrize("spoil", ["matched", "shares", "counterparts.matched", "rows"])
def test_a_file_whose_parts_do_not_fit_is_refused_in_one_line(kind, spoil, tmp_path):
    model = MAKE[kind](unmatched="follow").fit(TARGET, SOURCE)
    model.save(path := tmp_path / "flow.safetensors")
    if spoil == "rows":
        rewritten(path, **{"counterparts.rows": model.counterparts_.rows[:, :1].contiguous()})
    else:
        rewritten(path, drop=(spoil,))
    with pytest.raises(DataError, match="makes no estimator") as caught:
        type(model).load(path)
    assert "\n" not in str(caught.value)


@every
def test_looking_changes_nothing_of_a_flow_that_moves_all_rows(kind, monkeypatch):
    monkeypatch.setattr(Parting, "of", staticmethod(lambda unmatched, z, target, seed: Parting(z, "move")))
    looked = MAKE[kind](unmatched="stay").fit(TARGET, SOURCE)
    np.testing.assert_allclose(looked.particles_, MAKE[kind]().fit(TARGET, SOURCE).particles_, atol=1e-12)


@every
def test_of_many_rows_few_are_kept_and_all_fare_by_them(kind, monkeypatch):
    monkeypatch.setattr(parting, "MOST", 60)
    model = MAKE[kind](unmatched="stay").fit(TARGET, SOURCE)
    assert len(model.counterparts_.rows) == 60
    np.testing.assert_array_equal(model.matched_, ~LOST)
    np.testing.assert_allclose(model.transport(SOURCE), model.particles_, atol=1e-4)
    assert model.notes_[1] == "60 rows of the source were looked at, others fare as the nearest of these"


@every
def test_rows_of_the_target_that_nothing_moves_to_are_said(kind):
    model = MAKE[kind](unmatched="stay").fit(SOURCE, cloud(1, 60, 0, 40))
    assert model.matched_.all()
    assert (model.shares_[LOST] < 0.05).all()
    assert model.notes_[1] == "50 of 150 rows of the target are like nothing that moves (shares_ below 0.05)"


def test_a_flow_of_ones_own_and_nothing_recorded():
    model = ParticleFlow(flow=SinkhornFlow(), steps=5, record=0, unmatched="stay").fit(TARGET, SOURCE)
    np.testing.assert_array_equal(model.particles_[LOST], SOURCE[LOST])
    np.testing.assert_array_equal(model.transport(SOURCE[LOST]), SOURCE[LOST])
    with pytest.raises(UsageError, match="no fields were recorded"):
        model.transport(SOURCE)


def test_a_frame_keeps_its_columns_and_the_rows_that_stay_their_values():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SOURCE, columns=["a", "b", "c"], index=np.arange(150) + 7)
    model = MAKE["particles"](unmatched="stay").fit(pandas.DataFrame(TARGET, columns=["a", "b", "c"]), frame)
    moved = model.transport(frame)
    pandas.testing.assert_frame_equal(moved[LOST], frame[LOST])
    assert list(moved.index) == list(frame.index)


MEMBERS = {
    "one row": (TARGET, TARGET[:1] + 0.5),
    "a few rows": (TARGET, TARGET[:7] + 0.5),
    "a constant column": (np.insert(TARGET, 1, 4.0, axis=1), np.insert(SOURCE, 1, 4.0, axis=1)),
    "equal rows": (TARGET.repeat(2, 0), SOURCE.repeat(2, 0)),
    "whole numbers": (TARGET.round(), SOURCE.round()),
    "a small target": (TARGET[::20], SOURCE),
    "two rows of target": (TARGET[[0, -1]], SOURCE),
}


@WAYS
@pytest.mark.parametrize("kind", ["particles", "codes"])
@pytest.mark.parametrize("name", MEMBERS)
def test_every_kind_of_source_and_target(name, kind, unmatched):
    target, source = MEMBERS[name]
    model = MAKE[kind](unmatched=unmatched, steps=4).fit(target, source)
    assert model.particles_.shape == source.shape
    assert np.isfinite(model.particles_).all()
    assert np.isfinite(model.shares_).all()
    np.testing.assert_allclose(model.transport(source), model.particles_, atol=1e-4)
    if unmatched == "stay":
        np.testing.assert_array_equal(model.particles_[~model.matched_], source[~model.matched_])
    if name in ("one row", "a few rows"):
        assert model.matched_.all()
    if name in ("equal rows", "whole numbers", "a constant column"):
        assert (model.matched_ == ~LOST.repeat(len(source) // 150)).mean() > 0.95


@pytest.mark.parametrize("kind", ["particles", "codes"])
def test_what_cannot_be_asked_is_refused(kind):
    model = MAKE[kind](unmatched="stay")
    with pytest.raises(UsageError, match="noise is like no kind of rows"):
        model.fit(TARGET)
    with pytest.raises(UsageError, match="noise is like no kind of rows"):
        model.fit(TARGET, np.zeros(180))  # what a pipeline passes along
    with pytest.raises(ValueError, match="'leave': use one of move, stay, follow"):
        model.set_params(unmatched="leave").fit(TARGET, SOURCE)


def test_with_labels_classes_say_who_goes_where():
    y = np.zeros(180)
    with pytest.raises(UsageError, match="here classes say who goes where"):
        MAKE["particles"](unmatched="follow").fit(TARGET, SOURCE, labels=y, source_labels=y[:150])
