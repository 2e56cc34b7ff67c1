"""Plots as SVG text, drawn by hand: bars in groups, and lines over a logarithmic axis."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH: Final = 760
LEFT: Final = 150
RIGHT: Final = 70
BAR: Final = 16
COLOURS: Final = ("#0b6e4f", "#c8553d", "#5b7db1", "#b08900", "#7a5195", "#4d4d4d", "#8ab17d", "#e07a5f")
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#222} .t{font-weight:600;font-size:15px}"
    " .s{fill:#666;font-size:12px;font-weight:400}"
)


def bars(
    title: str, unit: str, groups: Mapping[str, Mapping[str, float]], *, cut: float | None = None
) -> str:
    """Groups of bars with their values. What is longer than ``cut`` is drawn that long, its end open."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    colour = dict(zip(names, COLOURS, strict=False))
    longest = min(max((v for group in groups.values() for v in group.values()), default=1.0), cut or math.inf)
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts, y = [], 70.0
    for label, group in groups.items():
        middle = y + BAR * len(group) / 2 + 4
        parts.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for name, value in group.items():
            length = min(value, longest) * scale
            edge = "" if value <= longest else f"l6,{BAR / 2 - 2}l-6,{BAR / 2 - 1}"
            shape = f"M{LEFT},{y:.1f}h{length:.1f}{edge or f'v{BAR - 3}'}H{LEFT}z"
            parts.append(f'<path d="{shape}" fill="{colour[name]}"/>')
            parts.append(
                f'<text class="s" x="{LEFT + length + 10:.1f}" y="{y + BAR - 5:.1f}">{_told(value)}</text>'
            )
            y += BAR
        y += 14
    return _page(title, unit, [_legend(colour), *parts], y)


def lines(title: str, unit: str, series: Mapping[str, Mapping[float, float]]) -> str:
    """Lines over values of a logarithmic axis; the vertical one begins at 0."""
    xs = sorted({x for line in series.values() for x in line})
    top = max((y for line in series.values() for y in line.values()), default=1.0) * 1.1
    height, base = 300.0, 370.0
    span = math.log10(xs[-1] / xs[0]) or 1.0
    left, right = 60, 230

    def at(x: float, y: float) -> tuple[float, float]:
        return left + math.log10(x / xs[0]) / span * (WIDTH - left - right), base - y / top * height

    parts = []
    for x in xs:
        where, _ = at(x, 0)
        parts.append(f'<path d="M{where:.1f},{base}V{base - height}" stroke="#ddd"/>')
        parts.append(f'<text class="s" x="{where:.1f}" y="{base + 18}" text-anchor="middle">{x:,.0f}</text>')
    for tick in _ticks(top):
        _, where = at(xs[0], tick)
        parts.append(f'<path d="M{left},{where:.1f}H{WIDTH - right}" stroke="#eee"/>')
        parts.append(
            f'<text class="s" x="{left - 8}" y="{where + 4:.1f}" text-anchor="end">{_told(tick)}</text>'
        )
    names = sorted(series, key=lambda name: -series[name][max(series[name])])
    label_y = 0.0
    for n, name in enumerate(names):
        points = [at(x, y) for x, y in sorted(series[name].items())]
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = COLOURS[n % len(COLOURS)]
        label_y = max(points[-1][1] + 4, label_y + 15)  # labels do not cover each other
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(
            f'<text class="s" x="{points[-1][0] + 10:.1f}" y="{label_y:.1f}" style="fill:{colour}">'
            f"{escape(name)}</text>"
        )
    return _page(title, unit, parts, max(base + 20, label_y))


def _legend(colours: Mapping[str, str]) -> str:
    parts, x = [], float(LEFT)
    for name, colour in colours.items():
        parts.append(f'<rect x="{x:.0f}" y="46" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text class="s" x="{x + 16:.0f}" y="56">{escape(name)}</text>')
        x += 34 + 7 * len(name)
    return "".join(parts)


def _page(title: str, unit: str, parts: Sequence[str], height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 16:.0f}" role="img">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text class="t" x="16" y="24">{escape(title)} <tspan class="s">{escape(unit)}</tspan></text>'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _ticks(top: float) -> list[float]:
    step = 10 ** math.floor(math.log10(top))
    step = step if top / step >= 4 else step / 2 if top / step >= 2 else step / 5
    return [n * step for n in range(int(top / step) + 1)]


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
