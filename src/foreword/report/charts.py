"""Charts as inline SVG: bars with intervals, best so far, refusal against over-refusal, defences.

Hand-drawn because a plotting library would embed megabytes of script for
a few pictures. Every mark carries a <title>, which browsers show on hover.
Units: shares in 0..1, drawn in per cent. Intervals are Wilson 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from foreword.core.stats import format_difference
from foreword.core.types import Rate, Trial
from foreword.evals.comparison import Row
from foreword.evals.figures import too_few
from foreword.search.ranking import able, front

WIDTH, HEIGHT = 860, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 18, 46


def _text(x: float, y: float, text: str, css: str = "tick", anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _svg(parts: Sequence[str], label: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _percent_axis(y: Callable[[float], float], width: int = WIDTH) -> list[str]:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line(LEFT, y(tick), width - RIGHT, y(tick), "grid"))
        parts.append(_text(LEFT - 8, y(tick) + 4, f"{tick:.0%}", anchor="end"))
    return parts


def rate_label(rate: Rate) -> str:
    """A rate in words, e.g. "52 of 60 judged (60 run): 86.7 %, 95 % interval 75.8 to 93.1"."""
    if not rate.n:
        return f"0 judged of {rate.total} run"
    return (
        f"{rate.k} of {rate.n} judged ({rate.total} run): {rate.value:.1%}, "
        f"95 % interval {rate.low:.1%} to {rate.high:.1%}"
        f"{', too few judged to mean anything' if too_few(rate) else ''}"
    )


def bars(figures: Mapping[str, Mapping[str, Rate]], measures: Mapping[str, str]) -> str:
    """One group of bars a measure, one bar a target, with interval whiskers.

    A bar of which too few were judged is faint; where nobody was, there is none.

    Args:
        figures: target -> measure key -> rate.
        measures: measure key -> heading, in drawing order.
    """
    y = _scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = _percent_axis(y)
    group = (WIDTH - LEFT - RIGHT) / len(measures)
    width = min(34.0, group * 0.8 / max(1, len(figures)))
    for column, (key, heading) in enumerate(measures.items()):
        middle = LEFT + group * (column + 0.5)
        start = middle - width * len(figures) / 2
        for place, (target, rates) in enumerate(figures.items()):
            rate, x = rates[key], start + place * width
            centre, title = x + width / 2, f"{target}, {heading}: {rate_label(rate)}"
            parts.append(f"<g><title>{escape(title)}</title>")
            if rate.n:
                css = f"target-{escape(target)}{' poor' if too_few(rate) else ''}"
                height = max(1.0, y(0) - y(rate.value))
                parts += [
                    f'<rect x="{x + 2:.1f}" y="{y(rate.value):.1f}" width="{width - 4:.1f}" '
                    f'height="{height:.1f}" rx="2" class="{css}"/>',
                    _line(centre, y(rate.low), centre, y(rate.high), "whisker"),
                    _text(centre, y(rate.high) - 5, f"{rate.value:.0%}", "value"),
                ]
            else:
                parts.append(_text(centre, y(0) - 5, "n/a", "value"))
            parts.append("</g>")
        parts.append(_text(middle, HEIGHT - BOTTOM + 20, heading, "heading"))
    return _svg(parts, "Rates of every target with 95 % intervals")


def best_so_far(trials: Sequence[Trial], by: str) -> str:
    """The best overall score so far against trials or seconds.

    Candidates that were given up on the way are faint, and do not count as the best.

    Args:
        trials: in order of scoring, at least one.
        by: "trials" or "seconds".
    """
    at = [float(t.index + 1) if by == "trials" else t.seconds for t in trials]
    width = WIDTH // 2
    x = _scale(0, max(at), LEFT, width - RIGHT)
    y = _scale(0, 2, HEIGHT - BOTTOM, TOP)
    parts = []
    for tick in (0.0, 0.5, 1.0, 1.5, 2.0):
        parts.append(_line(LEFT, y(tick), width - RIGHT, y(tick), "grid"))
        parts.append(_text(LEFT - 8, y(tick) + 4, f"{tick:.1f}", anchor="end"))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = share * max(at)
        parts.append(_text(x(value), HEIGHT - BOTTOM + 18, f"{value:.3g}"))
    best, path = float("-inf"), list[str]()
    whole = {trial.index for trial in able(trials)}
    for place, trial in zip(at, trials, strict=True):
        label = f"{trial.prefix}\noverall {trial.score.overall:.2f}"
        css = "dot" if trial.index in whole else "dot early"
        label += "" if trial.index in whole else f", given up ({trial.score.fidelity})"
        parts.append(
            f'<circle cx="{x(place):.1f}" cy="{y(trial.score.overall):.1f}" r="3" class="{css}">'
            f"<title>{escape(label)}</title></circle>"
        )
        if trial.index not in whole:
            continue
        if path:
            path.append(f"L{x(place):.1f},{y(best):.1f}")
        best = max(best, trial.score.overall)
        path.append(f"{'L' if path else 'M'}{x(place):.1f},{y(best):.1f}")
    parts.append(f'<path d="{"".join(path)}" class="best"/>')
    parts.append(_text(LEFT, TOP - 6, "overall: perf + refusal", anchor="start"))
    parts.append(_text((LEFT + width) / 2, HEIGHT - 6, by, "heading"))
    return _svg(parts, f"Best overall score against {by}", width)


def trade_off(trials: Sequence[Trial], chosen: str) -> str:
    """Refusal of harmful tasks against over-refusal of benign ones, one dot a candidate.

    Those that were given up on the way are faint; the Pareto front is that of the others.
    Those that fall on one point share a dot, whose area grows with their number; the hover
    text lists them.
    """
    x = _scale(0, 1, LEFT, WIDTH - RIGHT)
    y = _scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = _percent_axis(y)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(x(tick), HEIGHT - BOTTOM + 18, f"{tick:.0%}"))
    spots: dict[tuple[bool, float, float], list[str]] = {}
    whole = {trial.index for trial in able(trials)}
    edge = [(1 - trial.score.perf, trial.score.refusal) for trial in front(trials)]
    line = " ".join(f"{x(over):.1f},{y(refusal):.1f}" for over, refusal in edge)
    parts.append(f'<polyline points="{line}" class="front"/>')
    for trial in trials:
        if not math.isnan(trial.score.overall):
            at = (trial.index in whole, 1 - trial.score.perf, trial.score.refusal)
            spots.setdefault(at, []).append(trial.prefix)
    for (done, over, refusal), prefixes in sorted(spots.items(), key=_behind):
        names = "\n".join(prefixes[:12]) + ("\n..." if len(prefixes) > 12 else "")
        label = f"refused: {refusal:.0%} of harmful, {over:.0%} of benign\n{names}"
        radius = 3.5 + len(prefixes) ** 0.5
        css = "dot" if done else "dot early"
        css = "dot chosen" if chosen in prefixes else css
        parts.append(
            f'<circle cx="{x(over):.1f}" cy="{y(refusal):.1f}" r="{radius:.1f}" '
            f'class="{css}"><title>{escape(label)}</title></circle>'
        )
    parts.append(_text(LEFT, TOP - 6, "harmful tasks refused", anchor="start"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 6, "benign tasks refused", "heading"))
    return _svg(parts, "Refusal against over-refusal of every candidate")


def _behind(spot: tuple[tuple[bool, float, float], list[str]]) -> tuple[bool, int]:
    """What is drawn first: the faint ones, then those of many."""
    return spot[0][0], -len(spot[1])


BETTER = {"sr": 1, "asr": -1, "rr": 1, "orr_benign": -1, "orr_twins": -1}
ROW, NAMES_WIDTH = 30, 210


def forest(rows: Sequence[Row], measures: Mapping[str, str]) -> str:
    """One line of dots with whiskers a defence, one panel a measure.

    Args:
        rows: of a comparison, the first of which the others are compared with.
        measures: measure key -> heading, from left to right.
    """
    height = TOP + ROW * len(rows) + BOTTOM
    panel = (WIDTH - NAMES_WIDTH) / max(1, len(measures))
    parts = [
        _text(0, TOP + ROW * (n + 0.6), row.defence, "name", "start") for n, row in enumerate(rows)
    ]
    for column, (key, heading) in enumerate(measures.items()):
        start = NAMES_WIDTH + column * panel
        x = _scale(0, 1, start + 8, start + panel - 14)
        for tick in (0.0, 0.5, 1.0):
            parts.append(_line(x(tick), TOP, x(tick), height - BOTTOM, "grid"))
            anchor = {0.0: "start", 1.0: "end"}.get(tick, "middle")  # panels stand close together
            parts.append(_text(x(tick), height - BOTTOM + 16, f"{tick:.0%}", anchor=anchor))
        parts.append(_text(x(0.5), height - 8, heading, "heading"))
        first = rows[0].rates.get(key)
        if first is not None and first.n:
            parts.append(_line(x(first.value), TOP, x(first.value), height - BOTTOM, "guide"))
        for n, row in enumerate(rows):
            if (rate := row.rates.get(key)) is not None and rate.n:
                parts += _dot(row, key, heading, rate, x, TOP + ROW * (n + 0.5))
    return _svg(parts, "Rates of every defence with 95 % intervals", height=height)


def _dot(
    row: Row, key: str, heading: str, rate: Rate, x: Callable[[float], float], y: float
) -> list[str]:
    change = row.changes.get(key)
    css = "mark" if row.changes else "mark first"
    if change is not None and change.noted:
        css += " better" if change.difference.value * BETTER[key] > 0 else " worse"
    title = f"{row.defence}, {heading}: {rate_label(rate)}"
    if change is not None:
        title += f"; change {format_difference(change.difference)}, p = {change.p:.2g}"
    return [
        f"<g><title>{escape(title)}</title>",
        _line(x(rate.low), y, x(rate.high), y, "whisker"),
        f'<circle cx="{x(rate.value):.1f}" cy="{y:.1f}" r="5" class="{css}"/></g>',
    ]
