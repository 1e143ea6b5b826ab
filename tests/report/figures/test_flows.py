"""Curves of a merge: whose a curve is can be read off row and colour, however many clouds there are."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from report.boxes import assert_free

from pushforward.report.figures.flows import Cloud, curves, layout

OWN = {"divergence": np.geomspace(2, 0.1, 9), "kinetic": np.geomspace(0.5, 0.01, 9)}


def clouds(batches, labels, own=OWN):
    names = [f"class {k}" for k in range(labels)] if labels else [""]
    return [Cloud(f"batch {k}", name, own) for k in range(batches) for name in names]


def columns(figure, rows):
    return len(figure.axes) // rows


@pytest.mark.parametrize(("batches", "labels"), [(1, 0), (2, 10), (3, 30), (35, 0), (13, 4)])
def test_every_cloud_has_a_row_and_a_colour_that_no_other_has(batches, labels):
    asked = clouds(batches, labels)
    figure, rows = curves(asked), layout(asked)[0]
    legend = figure.legends[0]
    named = {to_hex(line.get_color()): words.get_text() for line, words in zip(legend.get_lines(), legend.get_texts())}
    found = []
    for axes in figure.axes[:: columns(figure, len(rows))]:
        for line in axes.lines:
            name = named[to_hex(line.get_color())]
            found.append(f"{axes.get_ylabel()}, {name}" if axes.get_ylabel() else name)
    assert sorted(found) == sorted(cloud.name for cloud in asked)
    assert len(set(found)) == len(asked)
    assert_free(figure)


def test_of_more_batches_than_have_a_row_each_has_a_colour_and_the_words_say_what_is_lost():
    asked = clouds(50, 2)
    figure = curves(asked)
    assert len(figure.axes) == 2
    assert len({to_hex(line.get_color()) for line in figure.axes[0].lines}) == 50
    assert layout(asked)[1] == "100 clouds: a colour for each batch, whose classes are told apart in the table only."
    assert_free(figure)


def test_a_name_keeps_the_colour_that_it_has_in_other_pictures():
    known = {"batch 0": "#111111", "batch 1": "#222222", "other": "#333333"}
    (first, second) = curves(clouds(2, 0), [{"batch 0": "#444444"}, known]).axes[0].lines
    assert [first.get_color(), second.get_color()] == ["#111111", "#222222"]


def test_what_held_out_cells_say_is_a_third_panel_with_its_error_where_it_is_known():
    held, error = np.linspace(1, -0.1, 9), np.full(9, 0.1)
    (known,), (bare,), (empty,) = (
        clouds(1, 0, OWN | more)
        for more in ({"held": held, "held_error": error}, {"held": held}, {"held": [], "held_error": []})
    )
    assert len(curves([empty]).axes) == 2
    for cloud, bands in ((known, 1), (bare, 0)):
        axes = curves([empty, cloud]).axes[2]
        lines = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 9]
        np.testing.assert_array_equal(lines, [held])
        filled = [part.get_paths()[0].vertices[:, 1] for part in axes.collections]
        assert len(filled) == bands
        for heights in filled:
            assert (heights.max(), heights.min()) == pytest.approx((1.1, -0.2))
