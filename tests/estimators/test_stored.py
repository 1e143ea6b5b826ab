"""Estimators' files from anywhere: what they say of other types than their own is one line, and is never waited for."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pushforward import FlowGenerator, ParticleFlow
from pushforward.errors import DataError, UsageError
from pushforward.training.checkpoint import digest_of
from tests.malformed.runs import spoiled

TINY = {"steps": 1, "batch_size": 8, "width": 8, "random_state": 0}


@pytest.mark.parametrize("make", [FlowGenerator, ParticleFlow])
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in this system's folders")
@pytest.mark.parametrize("make", [FlowGenerator, ParticleFlow])
def test_a_pipe_is_no_file_of_an_estimator(make, tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="no plain file"):
        make.load(tmp_path / "model.safetensors")
