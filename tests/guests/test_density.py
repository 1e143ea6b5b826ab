"""A guest that answers for its density: its likelihood of held-out data, in the units of the data, in every answer."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from guests.commands import HERE, call, trained

LEAVE = ["--trust", "density:experiment"]
SCALES = np.array([200.0, 0.01])  # far from the standard deviations that a model works in


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """Correlated normal rows in two very different units."""
    z = np.random.default_rng(0).normal(size=(1500, 2))
    return (z @ np.array([[1.0, 0.8], [0.0, 0.6]])) * SCALES + [1000.0, -5.0]


@pytest.fixture(scope="module")
def run(tmp_path_factory, table) -> Path:
    """A finished run of the guest."""
    folder = tmp_path_factory.mktemp("density")
    np.save(folder / "x.npy", table)
    return trained(folder / "run", "density:experiment", "--data", folder / "x.npy", *LEAVE)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(HERE)


def closed_form(table: np.ndarray) -> tuple[float, float, float]:
    """Held-out −log q, its standard error, and that of the training rows, of the best normal law, in data units."""
    from scipy.stats import multivariate_normal

    from pushforward.data.dataset import split

    rows, held = split(len(table), 0, 0.1)
    law = multivariate_normal(table[rows].mean(0), np.cov(table[rows].T, bias=True))
    nats, seen = -law.logpdf(table[held]), -law.logpdf(table[rows])
    return nats.mean(), nats.std(ddof=1) / math.sqrt(len(held)), seen.mean()


def test_the_likelihood_of_held_out_data_is_that_of_the_closed_form_in_data_units(run, table, capsys):
    code, out, err = call(capsys, "evaluate", run, "--json", *LEAVE)
    assert code == 0, err
    found = json.loads(out)["metrics"]
    value, se, seen = closed_form(table)
    assert found["nll"]["value"] == pytest.approx(value, abs=2e-3)
    assert found["nll"]["se"] == pytest.approx(se, rel=0.01)
    assert found["nll"]["floor"] == pytest.approx(seen, abs=2e-3)
    assert found["nll"]["protocol"]["train"] == pytest.approx(seen, abs=2e-3)
    assert found["bits_per_dim"]["value"] == pytest.approx(value / (2 * math.log(2)), abs=2e-3)
    assert found["bits_per_dim"]["se"] == pytest.approx(se / (2 * math.log(2)), rel=0.01)
    assert found["likelihood_gap"]["value"] == pytest.approx(value - seen, abs=2e-3)
    # The entropy of the law itself: the units of the data are in it.
    entropy = math.log(2 * math.pi * math.e) + math.log(0.6) + np.log(SCALES).sum()
    assert abs(found["nll"]["value"] - entropy) < 4 * se


def test_a_density_shifts_by_the_logarithm_of_a_change_of_units(run, table, tmp_path, capsys):
    np.save(tmp_path / "y.npy", table * [10.0, 1.0])
    words = ["train", "density:experiment", "--data", tmp_path / "y.npy", "--run", tmp_path / "run", "--json", *LEAVE]
    code, out, err = call(capsys, *words)
    assert code == 0, err
    before = json.loads((run / "metrics.json").read_text())["metrics"]
    after = json.loads(out)["metrics"]
    assert after["nll"]["value"] - before["nll"]["value"] == pytest.approx(math.log(10), abs=1e-3)
    assert after["likelihood_gap"]["value"] == pytest.approx(before["likelihood_gap"]["value"], abs=1e-3)


def test_the_report_of_a_run_shows_likelihood_and_the_terms_that_the_guest_brought(run, capsys):
    code, out, _ = call(capsys, "report", run, "--json")
    assert code == 0
    page = Path(json.loads(out)["report"]).read_text()
    for words in ("in nats a row", "The same in bits", "no sign of overfitting", "Surprise of a batch",
                  "Mean −log q of the rows that were learned from"):  # fmt: skip
        assert words in page


def test_a_number_of_a_guest_that_is_not_finite_names_the_guests_remedy(run, tmp_path, capsys):
    words = ["train", "density:experiment", "--data", run.parent / "x.npy", "--run", tmp_path / "run", *LEAVE]
    code, _, err = call(capsys, *words, "--rate", 1e30)
    assert code == 1
    assert "surprise is" in err
    assert "lower --rate" in err


@pytest.mark.parametrize(("metrics", "asks"), [("mmd", False), ("tests", False), ("mmd,nll", True), ("default", True)])
def test_a_density_is_computed_only_where_a_likelihood_is_measured(run, metrics, asks, monkeypatch, capsys):
    guest, rows = sys.modules["density"], list[int]()
    answer = guest.Fit.log_prob

    def counting(self, x, labels=None):
        rows.append(len(x))
        return answer(self, x, labels)

    monkeypatch.setattr(guest.Fit, "log_prob", counting)
    code, _, err = call(capsys, "evaluate", run, "--metrics", metrics, "--permutations", 19, *LEAVE)
    assert code == 0, err
    assert sum(rows) == (1500 if asks else 0)  # every held-out and every training row, once


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x[1:, 0], "log_prob gave shape (149,) for 150 rows"),
        (lambda x: x, "log_prob gave shape (150, 2) for 150 rows"),
        (lambda x: x[:, 0].numpy(), "log_prob gave a ndarray for 150 rows"),
        (lambda x: x.sum(), "log_prob gave shape () for 150 rows"),
        (lambda x: 1.0, "log_prob gave a float for 150 rows"),
    ],
)
def test_a_density_that_is_not_one_number_a_row_leaves_out_the_likelihood_alone(run, answer, said, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["density"].Fit, "log_prob", lambda self, x, labels=None: answer(x))
    code, out, err = call(capsys, "evaluate", run, "--metrics", "sliced_w2,nll", "--json", *LEAVE)
    assert code == 0, err
    found = json.loads(out)
    assert [name.split("@")[0] for name in found["metrics"]] == ["sliced_w2"]
    (warning,) = found["warnings"]
    assert warning == f"likelihood left out: {said}: give one log-likelihood a sample, a tensor (n,)"
    code, _, err = call(capsys, "evaluate", run, "--metrics", "nll", *LEAVE)
    assert (code, err.splitlines()[-1]) == (3, f"error: {warning.removeprefix('likelihood left out: ')}")


def test_a_density_that_raises_is_named_with_its_line_after_all_else_was_stored(run, monkeypatch, tmp_path, capsys):
    guest = sys.modules["density"]
    monkeypatch.setattr(guest.Normal, "root", lambda self: self.lost)  # is asked for on the guest's own line
    (run / "metrics.json").unlink()
    words = ["evaluate", run, "--metrics", "sliced_w2,nll", "--page", tmp_path / "page.html", *LEAVE]
    monkeypatch.setattr(guest.Fit, "sample", lambda self, n, rng=None, labels=None: rng.normal(n, 2))
    code, _, err = call(capsys, *words)
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("error: density:experiment raised AttributeError: ")
    assert "density.py:" in last
    stored = json.loads((run / "metrics.json").read_text())
    assert [name.split("@")[0] for name in stored["metrics"]] == ["sliced_w2"]
    assert stored["warnings"][0].startswith("likelihood left out: log_prob raised AttributeError")
    assert (tmp_path / "page.html").exists()
    assert call(capsys, *[*words[:3], "nll", *LEAVE])[0] == 1


def test_gates_take_the_likelihood_and_files_have_none(run, tmp_path, capsys):
    code, _, _ = call(capsys, "evaluate", run, "--metrics", "likelihood", "--fail-if", "nll>100", *LEAVE)
    assert code == 0
    words = ["evaluate", run, "--metrics", "likelihood", "--fail-if", "nll>0", *LEAVE]
    assert call(capsys, *words, "--page", tmp_path / "page.html")[0] == 1
    assert "How likely the model finds single rows" in (tmp_path / "page.html").read_text()
    x = run.parent / "x.npy"
    code, _, err = call(capsys, "evaluate", "--fake", x, "--real", x, "--metrics", "likelihood")
    assert code == 2
    assert "log_prob" in err
