"""The page of an evaluation is one file that loads nothing, escapes what it is given and draws what measures left."""

import numpy as np
import pytest
import torch

from pushforward.metrics import Measure, Report
from pushforward.plain.findings import LeftOut
from pushforward.report.evaluation import Shown, write_evaluation
from pushforward.report.figures.plots import bars, histogram, quantiles


def points(n=50, d=2, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_verdict_counts_all_tests_together():
    low = Measure(1.0, 0.0, p=0.02)
    assert "differ: a (p 0.02)" in Report({"a": low}).verdict
    assert Report({"a": low, "b": Measure(1.0, 0.0, p=0.9), "c": low}).verdict.startswith("Not told apart: 3 tests")
    copying = Measure(-30.0, 0.0, p=1e-9, protocol={"hypothesis": "does not copy"})
    assert Report({"copying": copying}).verdict.startswith("No test")


def test_a_report_is_a_mapping_in_the_order_of_reading():
    report = Report({"b": Measure(1.0), "a": Measure(2.0)})
    assert list(report) == ["b", "a"]
    assert len(report) == 2
    assert report["a"].value == 2.0
    assert list(report.as_dict()) == ["verdict", "grade", "warnings", "notes", "findings", "unknown", "metrics"]


def test_words_from_files_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    report = Report({f"m{nasty}": Measure(1.0)}, (nasty,), (LeftOut(nasty, nasty),))
    shown = Shown(points(), points(seed=1), None, (nasty, nasty), nasty, nasty, (nasty,))
    text = write_evaluation(report, shown, tmp_path / "new" / "page.html").read_text()
    assert "alert(1)" in text
    assert nasty not in text


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_points_of_any_dimension_are_drawn(tmp_path, dim):
    page = write_evaluation(Report({}), Shown(points(d=dim), points(d=dim, seed=1)), tmp_path / "p.html")
    assert page.read_text().count("data:image/png") == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_channels_are_drawn(tmp_path, channels):
    images = torch.rand(10, channels, 8, 8) * 2 - 1
    page = write_evaluation(Report({}), Shown(images, images), tmp_path / "p.html")
    assert page.read_text().count("data:image/png") == 2


def test_every_kind_of_detail_gets_its_picture(tmp_path):
    detail = {
        "test": {"null": torch.randn(99)},
        "c2st": {"null": torch.randn(99), "statistic": torch.tensor([0.1])},
        "tail_ratio": {"levels": torch.rand(5), "fake": torch.rand(5, 2), "real": torch.rand(5, 2)},
        "class_kl": {"fake_shares": torch.rand(10), "real_shares": torch.rand(10)},
        "copying": {
            "fake": torch.rand(50),
            "real": torch.rand(50),
            "suspects": torch.arange(4),
            "nearest": torch.arange(4),
        },
    }
    report = Report({name: Measure(1.0, 0.0, p=0.5, detail=parts) for name, parts in detail.items()})
    text = write_evaluation(report, Shown(points(), points(seed=1), points(seed=2)), tmp_path / "p.html").read_text()
    assert text.count("data:image/svg+xml") == 5


@pytest.mark.parametrize(
    "draw",
    [
        lambda: histogram({"a": np.array([np.nan, 1.0]), "b": np.array([])}, "x", 2.0),
        lambda: histogram({"a": np.array([])}, "x"),
        lambda: histogram({"a": np.array([0.0, 1e-9, 3.0])}, "x", log=True),
        lambda: quantiles(np.ones((3, 1)), np.ones((3, 1)), ["c"]),
        lambda: bars(np.ones(1000) / 1000, np.ones(1000) / 1000, list(map(str, range(1000))), "mode"),
    ],
)
def test_pictures_are_drawn_of_odd_values_and_are_the_same_each_time(draw):
    first = draw()
    assert first.startswith(b"<?xml")
    assert first == draw()
