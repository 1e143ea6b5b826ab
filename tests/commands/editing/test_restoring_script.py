"""The script that measures restorations: its errors are those of what is hidden, and it runs through on any images."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands.editing.conftest import TRUST, Home
from PIL import Image

from pushforward.errors import UsageError
from pushforward.metrics.core.features import Features

path = Path(__file__).parents[3] / "scripts/restoring.py"
spec = importlib.util.spec_from_file_location("restoring_script", path)
assert spec is not None
assert spec.loader is not None
script = importlib.util.module_from_spec(spec)
sys.modules["restoring_script"] = script  # where dataclasses look for their annotations
spec.loader.exec_module(script)


def opened(home: Home, name: str, images: int = 4):
    return script.opened(
        argparse.Namespace(
            run=home.base / name, data=None, features=None, images=images, draws=4, strategy="fresh", steps=8, seed=0,
            checkpoint="last", device="cpu", trust=[TRUST[1]],
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_an_error_is_that_of_what_is_hidden_and_the_truth_has_none(home, name):
    bench = opened(home, name)
    noise = torch.randn(bench.truth.shape, generator=torch.Generator().manual_seed(0))
    for task in script.tasks_of(bench.form):
        known = script.known_of(bench.form, task)
        assert not script.errors(bench.truth, known, bench).any()
        within = bench.truth + known.known(noise)  # wrong only in what is known
        np.testing.assert_allclose(script.errors(within, known, bench), 0, atol=1e-4)
        hidden = noise - known.known(noise)
        size = 0.5 if task == "half" else 1.0
        wanted = 127.5 * (hidden.flatten(1).square().mean(1) / size).sqrt()
        np.testing.assert_allclose(script.errors(bench.truth + noise, known, bench), wanted, rtol=1e-4)
    assert script.tasks_of(bench.form) == ["half", "blocks", *["grey"] * (name == "colour")]


@pytest.mark.parametrize("task", ["half", "blocks"])
def test_the_nearest_training_image_is_that_of_all_distances_in_what_is_known(home, task, monkeypatch):
    monkeypatch.setattr(script, "BLOCK", 7)
    bench = opened(home, "grey")
    known, rows = script.known_of(bench.form, task).known, bench.experiment.data.train
    found, distance = script.nearest(bench.truth, rows, known)
    every = (known(bench.truth)[:, None] - known(rows)[None]).flatten(2).norm(dim=2)
    torch.testing.assert_close(distance, every.min(1).values, rtol=1e-4, atol=1e-4)
    assert torch.equal(found, rows[every.argmin(1)])
    again, none = script.nearest(rows[5:9], rows, lambda x: x)
    assert torch.equal(again, rows[5:9])
    assert float(none.max()) < 1e-2


def test_draws_agree_with_what_is_known_and_have_the_levels_of_the_data(home):
    bench = opened(home, "grey")
    draws = bench.restored(script.known_of(bench.form, "half"), "half")
    assert draws.shape == (4, *bench.truth.shape)
    assert torch.isin(draws, bench.scale).all()
    assert (draws[..., 4:] - bench.truth[..., 4:]).abs().max() <= bench.scale.diff().max() / 2  # to the nearest level
    assert (draws[0] != draws[1]).any()


def test_enlargements_of_flat_images_are_flat(home):
    bench = opened(home, "colour")
    flat = bench.scale[::40][:4, None, None, None].expand(-1, *bench.form.event).contiguous()
    torch.testing.assert_close(script.bicubic(replace(bench, truth=flat)), flat, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_it_runs_through_and_writes_numbers_and_grids(home, name, tmp_path, capsys):
    script.main([str(home.base / name), "--images", "3", "--draws", "4", "--steps", "4", "--strategy", "fresh",
                 "--out", str(tmp_path / "out"), "--json", "--trust", TRUST[1]])  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    tasks = ["half", "blocks", *["grey"] * (name == "colour")]
    assert found.keys() == {"images", "draws", "strategy", *tasks, "ways"}
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted([*tasks, "ways"])
    for task in tasks:
        assert 0 <= found[task]["covered"]["mean"] <= 1
        assert found[task]["covered"]["nominal"] == 0.6
        assert found[task]["mean"]["mean"] <= found[task]["draw"]["mean"]  # the mean of draws is never worse than they
        assert ("bicubic" in found[task]) == (task == "blocks")
    columns = {"half": 8, "blocks": 9, "grey": 8, "ways": 9}
    for task in (*tasks, "ways"):
        w, h = Image.open(tmp_path / "out" / f"{task}.png").size
        scale = (w + 2) // columns[task] // 8
        assert (w, h) == (columns[task] * (8 * scale + 2) - 2, (1 if task == "ways" else 3) * (8 * scale + 2) - 2)


def test_of_a_run_without_classes_right_is_where_the_original_is_put(home):
    def brightness(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)

    bench = replace(opened(home, "grey"), labels=None, judge=Features("brightness", "", None, brightness, brightness))
    flat = torch.tensor([-0.5, 0.5, 0.5, -0.5])[:, None, None, None].expand_as(bench.truth)
    bench = replace(bench, truth=flat)
    assert script.right(flat, bench).tolist() == [1, 1, 1, 1]
    assert script.right(-flat[:1].expand_as(flat), bench).tolist() == [0, 1, 1, 0]


def test_what_cannot_be_measured_is_refused(home, tmp_path):
    with pytest.raises(UsageError, match="3 draws have no band"):
        script.main([str(home.base / "grey"), "--draws", "3", "--out", str(tmp_path), "--trust", TRUST[1]])
    with pytest.raises(UsageError, match="1 held-out images: give at least 2"):
        opened(home, "grey", images=1)
