"""Pictures of a merge: a colour for every name, one scale, ways that begin and end where cells do, and free legends."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.quiver import Quiver
from report.boxes import assert_free

from pushforward.report.figures.merged import Plane, before_after, drawn, flat, ways
from pushforward.report.figures.sheets import MOST_NAMED


def plane(n, seed=0):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(n, 2)) * (3, 1)
    return Plane(before, before + rng.normal(size=(n, 2)), "")


def colours(axes):
    return {to_hex(colour) for points in axes.collections for colour in points.get_facecolors()[:, :3]}


@pytest.mark.parametrize("count", [1, 12, 13, 30, 150])
def test_before_and_after_have_as_many_colours_as_there_are_names(count):
    names = np.array([f"class {k:03d}" for k in range(count)])[np.arange(900) % count]
    figure = before_after(plane(900), names, np.arange(900))
    for axes in figure.axes:
        assert len(colours(axes)) == count
        assert sum(len(points.get_offsets()) for points in axes.collections) == 900
    (legend,) = figure.legends
    assert [words.get_text() for words in legend.get_texts()] == sorted(set(names))
    shown = [to_hex(line.get_color()) for line in legend.get_lines()]
    assert len(set(shown)) == count
    assert set(shown) == colours(figure.axes[0])


def test_a_cell_has_the_colour_and_the_shape_that_the_legend_gives_its_name():
    names = np.array([f"class {k:02d}" for k in range(30)])
    figure = before_after(plane(30), names, np.random.default_rng(0).permutation(30))
    legend = {to_hex(line.get_color()): line.get_marker() for line in figure.legends[0].get_lines()}
    order = {to_hex(line.get_color()): k for k, line in enumerate(figure.legends[0].get_lines())}
    for points in figure.axes[0].collections:
        mine = [to_hex(colour) for colour in points.get_facecolors()[:, :3]]
        assert len({legend[colour] for colour in mine}) == 1
        for place, colour in zip(points.get_offsets(), mine):
            np.testing.assert_allclose(place, plane(30).before[order[colour]])


@pytest.mark.parametrize(
    "names",
    [["a", "b"], [f"class {k}" for k in range(30)], [f"{k:03d} " + "x" * (k % 90) for k in range(120)],
     ["W" * 400, "W" * 399 + "V", "V" + "W" * 399], [f"class {k}" for k in range(MOST_NAMED + 100)]],
    ids=["two", "thirty", "many", "long", "too many"],
)  # fmt: skip
def test_a_legend_lies_over_no_panel_and_on_the_sheet(names):
    figure = before_after(plane(800), np.array(names)[np.arange(800) % len(names)], np.arange(800))
    assert_free(figure)
    assert len(figure.legends[0].get_texts()) == min(len(names), MOST_NAMED)


def test_a_step_is_as_long_on_the_sheet_to_the_right_as_upwards_and_no_cell_is_outside():
    cells = plane(200)
    figure = before_after(cells, np.full(200, "a"), np.arange(200))
    figure.draw_without_rendering()
    for axes, points in zip(figure.axes, (cells.before, cells.after)):
        origin, right, above = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        assert (right - origin)[0] == pytest.approx((above - origin)[1], rel=1e-3)
        inside = axes.get_window_extent().padded(-2)
        assert all(inside.contains(*place) for place in axes.transData.transform(points))


def test_the_plane_keeps_distances_that_lie_in_it():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0][:2]
    flat_ones = rng.normal(size=(100, 2)) * (3, 1)
    found = flat(flat_ones @ turn, (flat_ones + 1) @ turn, np.arange(100) < 60)
    np.testing.assert_allclose(
        np.linalg.norm(found.before[1:] - found.before[:-1], axis=1),
        np.linalg.norm(flat_ones[1:] - flat_ones[:-1], axis=1),
    )
    np.testing.assert_allclose(np.linalg.norm(found.after - found.before, axis=1), np.sqrt(2))


def test_every_name_has_cells_among_those_drawn_of_many():
    rng = np.random.default_rng(0)
    batch = np.array(["a", "b"])[(np.arange(5000) < 4).astype(int)]
    kinds = rng.permutation(np.r_[np.full(4800, "most"), [f"rare {k}" for k in range(40)] * 5])
    rows = drawn([batch, kinds], 1000, np.random.default_rng(1))
    assert len(set(rows.tolist())) == len(rows) == 1000
    assert (batch[rows] == "b").sum() == 4
    assert all((kinds[rows] == f"rare {k}").sum() == 5 for k in range(40))
    assert sorted(drawn([batch], 9999, rng).tolist()) == list(range(5000))


def arrows(axes):
    return [part for part in axes.collections if isinstance(part, Quiver)]


def test_ways_begin_where_cells_were_and_end_where_they_are_in_the_colours_of_their_batches():
    cells, batch = plane(90), np.array(["new", "newer", "old"])[np.arange(90) % 3]
    moved, alone = np.arange(90)[batch != "old"][:40], np.arange(90)[batch == "newer"][-8:]
    cells.after[alone[:3]] = cells.before[alone[:3]]
    figure = ways(cells, batch, "old", moved, alone, np.arange(90)[batch == "old"])
    assert_free(figure)
    by_batch = before_after(cells, batch, np.arange(90)).legends[0]
    hue = dict(zip(("new", "newer"), (to_hex(line.get_color()) for line in by_batch.get_lines())))
    for axes, rows in zip(figure.axes, (moved, alone[3:]), strict=True):
        (part,) = arrows(axes)
        start = np.asarray(part.get_offsets())
        np.testing.assert_allclose(start, cells.before[rows])
        np.testing.assert_allclose(start + np.stack([part.U, part.V], 1), cells.after[rows])
        assert [to_hex(colour) for colour in part.get_facecolors()[:, :3]] == [hue[batch[row]] for row in rows]
    rings, crosses = figure.axes[1].collections[-2:]
    np.testing.assert_allclose(rings.get_offsets(), cells.before[alone])
    np.testing.assert_allclose(crosses.get_offsets(), cells.after[alone])
    assert len(rings.get_facecolors()) == 0
    said = [words.get_text() for words in figure.legends[0].get_texts()]
    assert said == ["new", "newer", "old, the target", "without a counterpart, before", "without a counterpart, after"]


def test_one_panel_is_drawn_where_every_cell_has_a_counterpart_or_none_moved():
    cells, batch, none = plane(30), np.array(["new", "old"])[np.arange(30) % 2], np.arange(0)
    mine, theirs = np.arange(30)[batch == "new"], np.arange(30)[batch == "old"]
    for moved, alone in ((mine, none), (none, mine)):
        figure = ways(cells, batch, "old", moved, alone, theirs)
        assert len(figure.axes) == 1
        assert_free(figure)
