"""Where things lie on a sheet."""

from __future__ import annotations

from matplotlib.figure import Figure


def assert_free(figure: Figure) -> None:
    """The legend lies over no panel, nor over its title and numbers, and everything is on the sheet."""
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, sheet = legend.get_window_extent(), figure.bbox
    for axes in figure.axes:
        panel = axes.get_tightbbox()
        assert panel is not None
        assert box.y1 <= panel.y0
        assert panel.x0 >= sheet.x0 - 1
        assert panel.x1 <= sheet.x1 + 1
        assert panel.y1 <= sheet.y1
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= sheet.x1
