"""The section on paths: what an evaluation kept of them comes back, is drawn where it lies, and harms no page."""

from __future__ import annotations

import io
import zipfile
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from PIL import Image
from report.runs import EVIL, Page, make_run

from pushforward.report import write_report
from pushforward.report.figures.paths import draw_field, draw_paths
from pushforward.report.kept.paths import FILE, DriftField, Paths, read_paths

RNG = np.random.default_rng(0)
TIMES = np.array([0.0, 0.5, 1.0, 1.25, 2.0])
AT = RNG.normal(size=(9, 2))
FIELDS = (DriftField(0.5, AT, -2 * AT), DriftField(1.25, AT + 1, AT**2))
POINTS = Paths(300, 36, TIMES, RNG.normal(size=(5, 30, 2)), FIELDS, (5.5, 5.4), "three")
IMAGES = Paths(300, 36, TIMES, RNG.integers(0, 256, (5, 4, 8, 8), np.uint8), energies=(75.0, 60.0))
BARE = Paths(7, 12, np.array([0.0, 1.0]))


def kept(folder: Path, paths: Paths) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / FILE).write_bytes(paths.content())
    return folder


@pytest.mark.parametrize("paths", [POINTS, IMAGES, BARE], ids=["points", "images", "bare"])
def test_what_is_kept_comes_back(tmp_path: Path, paths: Paths):
    found, damaged = read_paths(kept(tmp_path, paths))
    assert damaged == []
    assert found is not None
    assert (found.step, found.calls, found.energies, found.label) == (
        paths.step,
        paths.calls,
        paths.energies,
        paths.label,
    )
    assert np.array_equal(found.times, paths.times)
    assert found.stages == (1 if paths is BARE else 2)
    if paths.x is None:
        assert found.x is None
    else:
        np.testing.assert_allclose(found.x, paths.x, rtol=1e-6)
    assert [field.time for field in found.fields] == [field.time for field in paths.fields]
    for mine, field in zip(found.fields, paths.fields, strict=True):
        np.testing.assert_allclose([mine.at, mine.drift], [field.at, field.drift], rtol=1e-6)


def page(tmp_path: Path, paths: Paths | None) -> Page:
    run = make_run(tmp_path / "run")
    if paths is not None:
        kept(run / "samples", paths)
    return Page(write_report([run]))


def test_only_a_run_with_paths_has_the_section_and_it_tells_calls_energies_and_their_reading(tmp_path: Path):
    assert page(tmp_path / "none", None).all("h2", id="paths") == []
    text = page(tmp_path / "points", POINTS).text
    for words in ("after step 300, in 2 stages", "all of class three", "Calls of the net a sample 36",
                  "∫E|b|²dt 5.5", "2τ KL 5.4", "1.9 % apart", "Healthy: the two within a few percent",
                  "Paths of 30 samples through stage 2", "Drift of stage 2 at t = 0.25"):  # fmt: skip
        assert words in text
    assert "Energy of stage 1" not in page(tmp_path / "bare", BARE).text


@pytest.mark.parametrize(
    ("pair", "grade"),
    [((5.5, 5.4), "good"), ((5.4, 4.9), "fair"), ((5.0, 9.0), "bad"), ((5.0, 0.0), "bad"), ((np.nan, 1.0), "bad")],
)
def test_energies_that_are_apart_are_not_called_healthy(tmp_path: Path, pair, grade):
    whole = page(tmp_path, replace(BARE, energies=pair))
    source = whole.source[whole.source.index('id="paths"') :]
    assert f'<p class="status {grade}"><span><b>Energy of stage 1' in source


def test_each_stage_and_each_field_has_a_figure_and_images_stand_in_a_row_for_each_sample(tmp_path: Path):
    alt = [tag["alt"] or "" for tag in page(tmp_path / "points", POINTS).all("img") if tag["alt"]]
    assert sum(words.startswith(("Paths of", "Drift of")) for words in alt) == 2 + len(FIELDS)
    (strip,) = page(tmp_path / "images", IMAGES).all("img", alt="Images along the way")
    seen = np.asarray(Image.open(io.BytesIO(b64decode((strip["src"] or "").partition(",")[2]))))
    scale = (seen.shape[1] + 2) // 5 // 8  # five times to the right, with two pixels between
    assert seen.shape[:2] == (4 * (8 * scale + 2) - 2, 5 * (8 * scale + 2) - 2)
    third, down, across = IMAGES.x[3, 2], 2 * (8 * scale + 2), 3 * (8 * scale + 2)
    own = seen[down : down + 8 * scale : scale, across : across + 8 * scale : scale, 0]
    assert np.array_equal(own, third)


def test_arrows_stand_on_their_grid_and_point_along_the_drift_over_the_samples_of_their_time():
    axes = Figure().add_subplot()
    draw_field(axes, POINTS, FIELDS[0])
    (arrows,) = [artist for artist in axes.get_children() if isinstance(artist, Quiver)]
    np.testing.assert_allclose(arrows.get_offsets(), AT)
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], 1), -2 * AT)
    np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), POINTS.x[1])


def test_lines_of_a_stage_go_from_its_beginning_to_its_end_and_what_is_not_finite_is_left_out():
    x = POINTS.x.copy()
    x[3, 0] = np.nan
    for stage, within in ((0, slice(0, 3)), (1, slice(2, 5))):
        axes = Figure().add_subplot()
        draw_paths(axes, replace(POINTS, x=x), stage)
        first = stage  # in the second stage the first path is lost
        np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), x[within, first])


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


BASE = {"step": 1, "calls": 2, "times": TIMES, "label": ""}
UNFIT = {
    "nothing": b"",
    "cut": POINTS.content()[:400],
    "no times": npz(step=1, calls=2),
    "times that fall": npz(**BASE | {"times": TIMES[::-1]}),
    "times without end": npz(**BASE | {"times": np.array([0.0, 1e9])}),
    "times of words": npz(**BASE | {"times": np.array(["a", "b"])}),
    "points of three": npz(**BASE, x=np.zeros((5, 4, 3), np.float32)),
    "points of other times": npz(**BASE, x=np.zeros((4, 4, 2), np.float32)),
    "images of five channels": npz(**BASE, x=np.zeros((5, 4, 8, 8, 5), np.uint8)),
    "fields that do not fit": npz(**BASE, moments=[0.5], at=np.zeros((1, 3, 2)), drift=np.zeros((1, 4, 2))),
    "one energy": npz(**BASE, energies=[1.0]),
    "a number for points": npz(**BASE, x=np.float32(1)),
    "many calls": npz(**BASE | {"calls": [1, 2]}),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_damaged_file_is_named_and_the_page_stands(tmp_path: Path, name):
    run = make_run(tmp_path / "run")
    (run / "samples" / FILE).write_bytes(UNFIT[name])
    whole = Page(write_report([run]))
    assert f"samples/{FILE} could not be read and was left out" in whole.text
    assert whole.all("h2", id="paths") == []


def test_a_file_that_would_fill_the_memory_is_not_opened(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"x{k}.npy", b"\0" * 10**8)
    assert read_paths(tmp_path) == (None, [FILE])


def test_words_of_the_file_are_shown_as_words(tmp_path: Path):
    whole = page(tmp_path, replace(POINTS, label=EVIL))
    assert "<img src=x" not in whole.source
    assert "alert(1)" in whole.text
