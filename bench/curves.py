"""One picture of several optimisers: median over seeds as a line, their range as a band (SVG)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

Curve = Sequence[tuple[float, float]]  # (spent, value), a step at each point

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 440, 56, 104, 20, 52
POINTS = 240
# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#666666", "#E69F00", "#56B4E9", "#000000")


def at(curve: Curve, x: float) -> float | None:
    """The value of a step curve at x; None before its first step."""
    return next((value for start, value in reversed(curve) if start <= x), None)


def draw(methods: Mapping[str, Sequence[Curve]], budget: float, unit: str) -> str:
    """The curves of every method over a logarithmic axis of what was spent."""
    points = [point for curves in methods.values() for curve in curves for point in curve]
    first, low = min(p[0] for p in points), min(p[1] for p in points)
    low = math.floor(low * 5) / 5
    grid = [first * (budget / first) ** (i / POINTS) for i in range(POINTS + 1)]

    def px(x: float) -> float:
        span = math.log(budget / first) or 1.0
        return LEFT + math.log(x / first) / span * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (2 - low) * (HEIGHT - BOTTOM - TOP)

    def text(x: float, y: float, words: str, more: str = "") -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{words}</text>'

    def line(x1: float, y1: float, x2: float, y2: float) -> str:
        return f'<path d="M{x1:.0f},{y1:.0f}L{x2:.0f},{y2:.0f}" stroke="#ddd"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(round(low * 5), 11):
        parts.append(line(LEFT, py(step / 5), WIDTH - RIGHT, py(step / 5)))
        parts.append(text(LEFT - 8, py(step / 5) + 4, f"{step / 5:.1f}", 'text-anchor="end"'))
    ticks = [m * 10**e for e in range(6) for m in (1, 2, 5) if first <= m * 10**e <= budget]
    for tick in ticks:
        parts.append(line(px(tick), TOP, px(tick), HEIGHT - BOTTOM))
        parts.append(text(px(tick), HEIGHT - BOTTOM + 18, str(tick), 'text-anchor="middle"'))
    bands, lines, ends = [], [], []
    for (name, curves), colour in zip(methods.items(), COLOURS, strict=False):
        columns = [(x, [at(curve, x) for curve in curves]) for x in grid]
        known = [(x, [v for v in values if v is not None]) for x, values in columns]
        known = [(x, values) for x, values in known if len(values) == len(curves)]
        if not known:
            continue
        upper = [f"{px(x):.1f},{py(max(values)):.1f}" for x, values in known]
        lower = [f"{px(x):.1f},{py(min(values)):.1f}" for x, values in reversed(known)]
        middle = [f"{px(x):.1f},{py(statistics.median(values)):.1f}" for x, values in known]
        outline = "L".join(upper + lower)
        bands.append(f'<path d="M{outline}Z" fill="{colour}" opacity="0.13"/>')
        lines.append(
            f'<path d="M{"L".join(middle)}" fill="none" stroke="{colour}" stroke-width="2.2">'
            f"<title>{name}</title></path>"
        )
        ends.append((py(statistics.median(known[-1][1])), name, colour))
    free = -math.inf
    for y, name, colour in sorted(ends):
        free = max(y, free + 16)  # labels of lines that end together are moved apart
        style = f'fill="{colour}" font-weight="bold"'
        lines.append(text(WIDTH - RIGHT + 8, free + 4, name, style))
    parts += [*bands, *lines]
    middle_x = (LEFT + WIDTH - RIGHT) / 2
    caption = f"{unit} (logarithmic); median and range over seeds"
    parts.append(text(middle_x, HEIGHT - 12, caption, 'text-anchor="middle"'))
    caption = "perf + refusal of the best so far, on validation"
    turned = f'text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2:.0f})"'
    parts.append(text(16, HEIGHT / 2, caption, turned))
    return "".join([*parts, "</svg>\n"])
