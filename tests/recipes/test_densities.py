"""Recipes of densities: held-out rows nearly as likely as under the data's own law, rounded columns that are told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli
from pushforward.commands.measuring.densities import Answers
from pushforward.methods.density import MaximumLikelihood
from pushforward.metrics.likelihood.held_out import held_out_likelihood
from pushforward.recipes import RECIPES
from pushforward.training.experiment import Experiment
from pushforward.training.facts import facts

CPU = torch.device("cpu")
SMALL = {"width": 32, "transforms": 3, "bins": 8, "batch": 256}


def learned(name: str, **options: object) -> tuple[Experiment, MaximumLikelihood]:
    experiment = RECIPES[name](**SMALL | options)
    for _ in zip(range(experiment.steps), experiment.method.learn(experiment.batches), strict=False):
        pass
    assert isinstance(experiment.method, MaximumLikelihood)
    return experiment, experiment.method


def test_held_out_rows_of_a_mixture_are_nearly_as_likely_as_under_its_own_law():
    experiment, method = learned("density_toy", data="toy:gaussians2", steps=400)
    assert facts(experiment)["shape"] == "density"
    rows = Answers(experiment, method, CPU)()
    found = held_out_likelihood(rows)
    assert found["nll"].protocol["floor"] == "the law of the data, on the same rows"
    assert 0 < found["nll"].value - found["nll"].floor < 0.05
    assert abs(found["likelihood_gap"].value) < 0.1
    by_hand = method.log_prob(experiment.data.test[: len(rows.held)]).detach().double() + experiment.data.log_volume
    torch.testing.assert_close(rows.held, by_hand)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Numbers of two decimals, whole ones, and a continuum that nearly follows from them, with classes."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("table") / "table.csv"
    price, kind = rng.lognormal(2, 0.5, 600), rng.integers(2, size=600)
    size = rng.poisson(5 + 10 * kind)
    lines = [
        f"{p:.2f},{s},{p + s + 0.1 * e:.17g},{'ab'[k]}" for p, s, e, k in zip(price, size, rng.normal(size=600), kind)
    ]
    path.write_text("price,size,sum,kind\n" + "\n".join(lines) + "\n")
    return path


def test_rounded_columns_of_a_table_are_told_and_spread_in_units_of_the_model(table):
    experiment, method = learned("density_table", data=f"{table}:price,size,sum", steps=2)
    (note,) = [note for note in experiment.data.notes if "uniform noise" in note]
    assert "price by 0.01, size by 1)" in note
    scale = experiment.data.known_unit.columns((3,))[1]  # pyright: ignore[reportAttributeAccessIssue]
    assert method.cells is not None
    np.testing.assert_allclose(method.cells.numpy() * scale, [0.01, 1.0, 0.0], rtol=1e-5)
    plain, bare = learned("density_table", data=f"{table}:price,size,sum", steps=2, dequantise=False)
    assert bare.cells is not None
    assert not bare.cells.any()
    assert not [note for note in plain.data.notes if "uniform noise" in note]


def test_a_density_of_rows_is_the_mixture_of_those_of_their_classes(table):
    given = {"data": f"{table}:price,size,sum", "labels": "kind", "conditional": True, "steps": 60}
    given["dequantise"] = False  # a mean of logarithms over a cell is no mixture of such means
    experiment, method = learned("density_table", **given)
    assert method.prior is not None
    shares = torch.bincount(experiment.data.train_labels) / len(experiment.data.train)
    torch.testing.assert_close(method.prior, shares)
    x, y = experiment.data.test, experiment.data.test_labels
    with torch.no_grad():
        each = torch.stack([method.log_prob(x, torch.full_like(y, k)) + math.log(shares[k]) for k in (0, 1)])
        torch.testing.assert_close(method.log_prob(x), each.logsumexp(0))
        assert float((method.log_prob(x, y) - method.log_prob(x, 1 - y)).mean()) > 0.5


def test_a_run_is_told_evaluated_on_held_out_rows_and_sampled(table, tmp_path, capsys):
    def call(*words: object) -> str:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        assert not stop.value.code
        out, err = capsys.readouterr()
        return out + err

    run = tmp_path / "run"
    small = ["--steps", 8, "--batch", 32, "--width", 8, "--transforms", 2]
    said = call("train", "density_table", "--data", f"{table}:price,size,sum", *small, "--run", run)
    assert said.count("rounded numbers have no density") == 1
    measured = json.loads((run / "metrics.json").read_text())["metrics"]
    assert measured["nll"]["n_real"] == 60
    assert math.isfinite(measured["nll"]["value"] - measured["nll"]["floor"])
    assert measured["likelihood_gap"]["protocol"]["hypothesis"] == "does not overfit"
    call("sample", run, "-n", 5, "--out", tmp_path / "x.npz")
    assert "Negative log-likelihood" in (run / "report.html").read_text()
