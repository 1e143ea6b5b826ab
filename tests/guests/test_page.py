"""The guest on the page about guests does what the page says of it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from guests.commands import call

PAGE = Path(__file__).parents[2] / "docs" / "guests.md"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The module of the page, in the current folder."""
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    (tmp_path / "mine.py").write_text(found[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.slow
def test_its_commands_run_in_a_row_and_the_report_explains_its_number(mine, capsys):
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    assert [words[1] for words in lines] == ["train", "sample", "report"]
    for _, *words in lines:
        code, _, err = call(capsys, *(words if words[0] != "train" else [*words[:-4], "--steps", "4", *words[-2:]]))
        assert code == 0, err
        sys.modules.pop("mine", None)
    assert np.load("waves.npz")["x"].shape == (300, 2)
    assert "Gap of the waves" in Path("runs/waves/report.html").read_text(encoding="utf-8")
    assert "Gap of the waves" in json.dumps(json.loads(Path("runs/waves/run.json").read_text()))


def test_its_flow_is_a_gradient_flow(mine):
    from mine import Waves  # pyright: ignore

    rng = torch.Generator().manual_seed(0)
    q, p = (torch.randn(200, 2, generator=rng, dtype=torch.float64) + shift for shift in (0.0, 1.0))
    waves = Waves(torch.randn(2, 50, generator=rng).double(), torch.rand(50, generator=rng).double())

    def value(x):
        return (waves.means(x) - waves.means(p)).square().mean() / 2

    v, dt = waves.velocity(q, p)(q), 1e-4
    rate = (value(q + dt * v) - value(q - dt * v)) / (2 * dt)
    assert float(rate) == pytest.approx(-float(v.square().sum(1).mean()), rel=1e-5)
