"""Curves over steps as an SVG element: linear or logarithmic, thinned, with gaps where a number is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pushforward.report.values import HUES, digits
from pushforward.terms import Scale

__all__ = ["Curve", "chart"]

Point = tuple[float, float]
Curve = list[tuple[float, float | None]]

WIDE, TALL, LEFT, RIGHT, TOP, BOTTOM = 360, 210, 46, 352, 8, 170  # a chart and the field within its axes
DRAWN, RAGGED = 400, 120  # points kept of a curve (at most twice as many), and from which on it gets a moving mean


@dataclass(frozen=True)
class _Axes:
    """Where steps and values stand in the picture.

    Attributes:
        steps: First and last step.
        levels: Lowest and highest level; a level is a value, or its decimal logarithm.
        log: Whether levels are logarithms.
    """

    steps: Point
    levels: Point
    log: bool

    def across(self, step: float) -> float:
        return LEFT + (step - self.steps[0]) / (self.steps[1] - self.steps[0]) * (RIGHT - LEFT)

    def up(self, level: float) -> float:
        return BOTTOM - (level - self.levels[0]) / (self.levels[1] - self.levels[0]) * (BOTTOM - TOP)

    def height(self, value: float) -> float:
        return self.up(math.log10(max(value, 1e-300)) if self.log else value)

    def inside(self, value: float) -> float:
        """The height of a value, moved to the edge if it lies beyond."""
        return min(max(self.height(value), TOP), BOTTOM)


def chart(lines: Mapping[int, Curve], label: str, scale: Scale, rings: Mapping[int, Point] | None = None) -> str:
    """Curves over steps as an SVG element; its colours are the style sheet's classes r0, r1, ....

    Args:
        lines: Points (step, value) by the number of the run, steps ascending; None where a value is not finite.
        label: What the picture shows, escaped.
        scale: How values are drawn.
        rings: A point to mark, by the number of the run.
    """
    values = [value for curve in lines.values() for _, value in curve if value is not None]
    if not values:
        return '<p class="soft">No finite value.</p>'
    log = scale.log and min(values) > 0 and max(values) > 10**scale.decades * min(values)
    steps = [step for curve in lines.values() for step, _ in curve]
    marks = [value for value in scale.guides if value > 0 or not log]
    levels = [math.log10(value) if log else value for value in [*values, *marks]]
    axes = _Axes(_range(steps, 0.0), _range(levels, 0.06), log)
    guides = "".join(_level_line("guide", axes.height(value)) for value in marks)
    drawn = "".join(
        f'<g class="r{k % HUES}">{_polylines(k, curve, axes)}{_ring((rings or {}).get(k), axes)}</g>'
        for k, curve in lines.items()
    )
    (x0, x1), (y0, y1) = axes.steps, axes.levels
    return (
        f'<svg viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="{label}" '
        f'data-box="{LEFT} {TOP} {RIGHT} {BOTTOM}" data-x="{x0!r} {x1!r}" data-y="{y0!r} {y1!r}"'
        f"{' data-log' if log else ''}>{_band(scale.healthy, axes)}{_ruler(axes)}{guides}"
        f'<line class="hair" y1="{TOP}" y2="{BOTTOM}"/>{drawn}</svg>'
    )


def _range(values: Sequence[float], margin: float) -> Point:
    """An interval of positive length around some values."""
    low, high = float(min(values)), float(max(values))
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers in an interval, at most so many and one."""
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    unit *= next(factor for factor in (1, 2, 5, 10, 20) if factor * unit >= raw * (1 - 1e-9))
    first = math.ceil(low / unit - 1e-9)
    return [k * unit for k in range(first, first + most + 2) if k * unit <= high + 1e-9 * unit]


def _decades(low: float, high: float) -> list[float]:
    """Logarithms of powers of ten, thinned; of their threefold too where the powers are few."""
    whole = [float(k) for k in range(math.ceil(low), math.floor(high) + 1)]
    halves = [k + math.log10(3) for k in range(math.floor(low), math.ceil(high))] if len(whole) < 3 else []
    return whole[:: max(1, -(-len(whole) // 5))] + [level for level in halves if low <= level <= high]


def _ruler(axes: _Axes) -> str:
    parts = []
    for level in _decades(*axes.levels) if axes.log else _ticks(*axes.levels):
        y, word = axes.up(level), digits(10.0**level if axes.log else round(level, 12), 3)
        parts.append(f'{_level_line("grid", y)}<text x="{LEFT - 6}" y="{y + 3.8:.1f}" text-anchor="end">{word}</text>')
    for step in _ticks(*axes.steps):
        x = axes.across(step)
        anchor = "end" if x > RIGHT - 14 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{BOTTOM + 16}" text-anchor="{anchor}">{digits(step, 6)}</text>')
    words = "steps; values on a logarithmic scale" if axes.log else "steps"
    return "".join([*parts, f'<text x="{RIGHT}" y="{BOTTOM + 33}" text-anchor="end">{words}</text>'])


def _level_line(kind: str, y: float) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _band(healthy: Point | None, axes: _Axes) -> str:
    if healthy is None:
        return ""
    bottom, top = map(axes.inside, healthy)
    return f'<rect class="band" x="{LEFT}" width="{RIGHT - LEFT}" y="{top:.1f}" height="{bottom - top:.1f}"/>'


def _ring(best: Point | None, axes: _Axes) -> str:
    if best is None or not axes.steps[0] <= best[0] <= axes.steps[1]:
        return ""
    return f'<circle class="best" r="4" cx="{axes.across(best[0]):.2f}" cy="{axes.inside(best[1]):.2f}"/>'


def _polylines(k: int, curve: Curve, axes: _Axes) -> str:
    """A curve, broken where a number is not finite, with a moving mean if it has many points; lone points are dots."""
    pieces: list[list[Point]] = [[]]
    for step, value in _stretches(curve):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((axes.across(step), axes.height(value)))
    ragged = len(curve) >= RAGGED
    parts = []
    for piece in filter(None, pieces):
        dot = f'<circle r="2" cx="{piece[0][0]:.2f}" cy="{piece[0][1]:.2f}"/>' if len(piece) == 1 else ""
        parts.append(f'{dot}<polyline{" class=raw" if ragged else ""} data-run="{k}" points="{_points(piece)}"/>')
        parts += [f'<polyline points="{_points(_moving_mean(piece))}"/>'] if ragged else []
    return "".join(parts)


def _points(piece: Sequence[Point]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in piece)


def _moving_mean(piece: Sequence[Point]) -> list[Point]:
    """Means over a thirtieth of the points, fewer at the ends so that the window stays centred."""
    reach, total = len(piece) // 60, np.concatenate([[0.0], np.cumsum([y for _, y in piece])])
    means = []
    for k, (x, _) in enumerate(piece):
        r = min(reach, k, len(piece) - 1 - k)
        means.append((x, float(total[k + r + 1] - total[k - r]) / (2 * r + 1)))
    return means


def _stretches(curve: Curve) -> Curve:
    """A long curve by the lowest and the highest point of each stretch, gaps kept."""
    if len(curve) <= 2 * DRAWN:
        return curve
    size = -(-len(curve) // DRAWN)
    kept: Curve = []
    for k in range(0, len(curve), size):
        stretch = curve[k : k + size]
        heights = [math.inf if value is None else value for _, value in stretch]
        order = sorted(range(len(stretch)), key=heights.__getitem__)
        kept += [stretch[j] for j in sorted((order[0], order[-1]))]
    return kept
