"""Estimators' files from anywhere: what they say of other types than their own is one line, and is never waited for."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pushforward import BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, ParticleFlow
from pushforward.errors import DataError, UsageError
from pushforward.training.checkpoint import digest_of
from tests.malformed.runs import spoiled

DEEP = "nested"
TINY = {"steps": 1, "batch_size": 8, "width": 8, "random_state": 0}


@pytest.mark.parametrize("make", [BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, ParticleFlow])
def test_a_file_that_says_what_cannot_be_under_a_right_digest_is_one_line(make, tmp_path):
    path, rng = tmp_path / "model.safetensors", np.random.default_rng(0)
    make(**TINY).fit(rng.normal(size=(40, 2))).save(path)
    with safe_open(path, "pt") as file:
        run = json.loads(file.metadata()["run"])
    tensors, said = load_file(path), list[str]()
    for k in range(120):
        told, kept = spoiled(run, rng), dict(tensors)
        if k % 3 == 0:
            told, name = run, sorted(tensors)[int(rng.integers(len(tensors)))]
            value = kept.pop(name)
            odd = (value[None].clone(), value.flatten()[:1].clone(), value.bool(), value.half(), None)[k // 3 % 5]
            kept |= {} if odd is None else {name: odd}
        header = {"run": json.dumps(told), "resume": ""}
        save_file(kept, path, header | {"digest": digest_of(kept, header)})
        try:
            make.load(path)
        except (DataError, UsageError) as error:
            said.append(str(error))
    assert len(said) > 20
    assert not [words for words in said if "\n" in words]


@pytest.fixture(scope="module")
def fitted_to_a_frame(tmp_path_factory):
    frame = pytest.importorskip("pandas").DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    path = tmp_path_factory.mktemp("frame") / "model.safetensors"
    ParticleFlow(**TINY).fit(frame).save(path)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in this system's folders")
@pytest.mark.parametrize("make", [BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, ParticleFlow])
def test_a_pipe_is_no_file_of_an_estimator(make, tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="no plain file"):
        make.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "changed",
    [
        lambda run: run["columns"].update(types=["int65", "float64"]),
        lambda run: run["columns"].update(types=["i4,(", "float64"]),
        lambda run: run["columns"].update(levels=5),
        lambda run: run["columns"].update(names=[DEEP, "b"]),
        lambda run: run.update(learned={"particles": DEEP}),
    ],
)
def test_columns_of_no_type_and_what_is_nested_without_end_are_one_line(changed, fitted_to_a_frame, tmp_path):
    with safe_open(fitted_to_a_frame, "pt") as file:
        run = json.loads(file.metadata()["run"])
    tensors = load_file(fitted_to_a_frame)
    changed(run)
    header = {"run": json.dumps(run).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000), "resume": ""}
    save_file(tensors, tmp_path / "odd.safetensors", header | {"digest": digest_of(tensors, header)})
    with pytest.raises(DataError, match="makes no estimator") as caught:
        ParticleFlow.load(tmp_path / "odd.safetensors")
    assert "\n" not in str(caught.value)
