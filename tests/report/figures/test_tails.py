"""The section on tails: shown for heavy ones only, with Hill's slopes where they belong."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from report.runs import Page, make_run

from pushforward.data.toys import plane as toy
from pushforward.metrics.quality.tails import quantile_band
from pushforward.pictures import write_samples
from pushforward.report import write_report
from pushforward.report.figures.tails import draw_quantiles, draw_survival, heavy, tail_columns, tails
from pushforward.report.reading import read_run


def heavy_run(folder: Path) -> Path:
    run = make_run(folder)
    (run / "samples" / "data.npz").unlink()
    data = toy.load("student(1)", n_train=400, n_test=400)
    write_samples(run / "samples", 200, data.train, data)
    return run


def section(run: Path) -> str:
    return tails(read_run(run, "run"))


def test_tails_are_shown_where_data_are_heavy_or_the_recipe_says_so_and_nowhere_else(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("pushforward.report.figures.tails.svg", lambda draw: b"<svg/>")
    assert section(make_run(tmp_path / "light")) == ""
    for run in (make_run(tmp_path / "said", recipe="heavy_tails"), heavy_run(tmp_path / "found")):
        assert section(run).count("data:image/svg+xml;base64,") == 6  # two columns and the lengths, twice


def test_a_run_without_samples_has_no_tails(tmp_path: Path):
    run = heavy_run(tmp_path / "run")
    for path in (run / "samples").iterdir():
        path.unlink()
    assert section(run) == ""


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_light_tails_are_not_called_heavy(law):
    rng = np.random.default_rng(0)
    assert not any(heavy(getattr(rng, law)(size=(1000, 2))) for _ in range(20))


@pytest.mark.parametrize("nu", [0.5, 1.0, 2.0])
def test_heavy_tails_are(nu):
    rng = np.random.default_rng(0)
    assert all(heavy(rng.standard_t(nu, (1000, 2))) for _ in range(20))


def test_hills_line_lies_on_an_exact_pareto_sample():
    x = (np.arange(1, 1001) / 1000) ** (-1 / 1.5)
    axes = Figure().add_subplot()
    draw_survival(axes, {"samples": x}, share=0.2)
    fitted, points = axes.get_lines()
    slope = np.diff(np.log(fitted.get_ydata())) / np.diff(np.log(fitted.get_xdata()))
    assert slope[0] == pytest.approx(-1.5, rel=0.02)  # the mean of log excesses is a sum for an integral
    np.testing.assert_allclose(np.log(points.get_ydata()), -1.5 * np.log(points.get_xdata()), atol=1e-9)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(("draw", "scale"), [("standard_normal", "linear"), ("standard_cauchy", "symlog")])
def test_quantiles_are_drawn_on_a_scale_that_shows_them(draw, scale):
    rng = np.random.default_rng(0)
    axes = Figure().add_subplot()
    draw_quantiles(axes, quantile_band(*(getattr(rng, draw)(3000) for _ in range(2))))
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    drawn = axes.get_lines()[1].get_ydata()
    assert low < np.min(drawn)
    assert np.max(drawn) < high


def test_columns_are_folded_about_the_medians_of_the_data_unless_they_are_amounts():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 101, 2)) + 7.0 - 7.0 * np.array([0, 1])[:, None, None]
    amounts = tail_columns(np.abs(fake), np.abs(real))
    np.testing.assert_allclose(amounts["x, column 1"][0], np.abs(fake[:, 1]))
    signed = tail_columns(fake - 7, real - 7)
    np.testing.assert_allclose(signed["|x − median|, column 0"][0], np.abs(fake[:, 0] - np.median(real[:, 0])))
    lengths = np.linalg.norm(real - np.median(real, 0), axis=1)
    np.testing.assert_allclose(signed["length of a row"][1], lengths)


def test_the_page_survives_values_of_any_size(tmp_path: Path):
    run = heavy_run(tmp_path / "run")
    x = np.concatenate([np.full((60, 2), 1e30), np.full((60, 2), np.inf), np.zeros((60, 2))]).astype(np.float32)
    np.savez(run / "samples" / "step-000200.npz", x=x)
    page = Page(write_report([run]))
    assert page.all("h2", id="tails")
    pictures = [image["src"] or "" for image in page.all("img")]
    assert sum(picture.startswith("data:image/svg+xml;base64,") for picture in pictures) == 6
