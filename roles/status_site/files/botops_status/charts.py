"""Small charts as inline SVG: no script, no style of their own, words for those who cannot see them. Pure."""

from __future__ import annotations

import html

WIDTH, HEIGHT, EDGE = 600, 100, 4
MOST_POINTS = 180


def thinned(points: list[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most so many points, each the mean of its neighbours: a day of minutes is more than a phone has pixels."""
    if len(points) <= most:
        return points
    size = -(-len(points) // most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _time, value in group) / len(group)) for group in groups]


def figure_number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def chart(title: str, unit: str, points: list[tuple[float, float]], first: str, last: str, least: float | None = 0) -> str:
    """A line with its area. first, last: the ends of time in words; least: where the axis begins (0), or nothing for the lowest value."""
    if len(points) < 2:
        said = '<span class="dim">two looks make a line; there is one so far</span>'
        return f'<figure class="card"><figcaption><b>{html.escape(title)}</b>{said}</figcaption></figure>'
    points = thinned(points)
    values = [value for _time, value in points]
    low = min(values if least is None else [least, *values])
    high = max(values)
    if high == low:
        high, low = high + 1, low if least == 0 else low - 1
    begin, end = points[0][0], points[-1][0]
    xs = [WIDTH * (time - begin) / ((end - begin) or 1) for time, _value in points]
    ys = [HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / (high - low) for value in values]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
    words = f"{title}: now {figure_number(values[-1])} {unit}, from {figure_number(min(values))} to {figure_number(max(values))} since {first}"
    return (
        f'<figure class="card"><figcaption><b>{html.escape(title)}</b><span>{figure_number(values[-1])} {html.escape(unit)}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{html.escape(words)}">'
        f'<line class="grid" x1="0" x2="{WIDTH}" y1="{EDGE}" y2="{EDGE}"/><line class="grid" x1="0" x2="{WIDTH}" y1="{HEIGHT - EDGE}" y2="{HEIGHT - EDGE}"/>'
        f'<polygon class="area" points="0,{HEIGHT} {line} {WIDTH},{HEIGHT}"/><polyline class="line" points="{line}"/></svg>'
        f'<div class="ends"><span>{html.escape(first)}</span><span>least {figure_number(min(values))}, most {figure_number(max(values))}</span>'
        f"<span>{html.escape(last)}</span></div></figure>"
    )
