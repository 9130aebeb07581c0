"""A trend as SVG: one small chart for each layer, with a line for each figure."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

Json = dict[str, Any]
_LINES = {
    "mean_best_auc": ("#0b6e99", "mean best AUC"),
    "selective": ("#2e8b57", "selective"),
    "dense": ("#c77700", "dense"),
    "dead": ("#b22222", "dead"),
}
_ACCURACY = ("#555555", "accuracy")
_WIDTH, _HEIGHT, _COLUMNS = 380, 250, 2
_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 34, 14, 42
_LEGEND = 28
_TICKS = (0, 0.25, 0.5, 0.75, 1)
_ROOM = 84
"""Pixels between two names of indexes."""
_DASH = ' stroke-dasharray="5 3"'


def trend_chart(trend: Json) -> str:
    """Draw a trend of `indexer.query.learning.trend.trend`. All lines share one scale from 0 to 1."""
    layers = trend["layers"]
    columns = min(_COLUMNS, len(layers))
    rows = -(-len(layers) // columns)
    width, height = max(columns * _WIDTH, 460), rows * _HEIGHT + _LEGEND
    parts = [_panel(trend, layer, n % columns * _WIDTH, n // columns * _HEIGHT) for n, layer in enumerate(layers)]
    shown = [name for name in _LINES if any(value is not None for layer in layers for value in layer[name])]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="#222">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + f"\n{_legend(rows * _HEIGHT + 14, shown, any(value is not None for value in trend['accuracy']))}\n</svg>\n"
    )


def _panel(trend: Json, layer: Json, x: int, y: int) -> str:
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    parts = [f'<text x="{_LEFT}" y="20" font-size="13" font-weight="bold">{_text(layer["layer"])}</text>']
    for tick in _TICKS:
        height = _TOP + inner_height * (1 - tick)
        parts.append(f'<path d="M{_LEFT} {height:.1f}h{inner_width}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{height + 4:.1f}" text-anchor="end">{tick:g}</text>')
    numbers = trend["steps"] or range(len(trend["indexes"]))
    steps = [_LEFT + inner_width * (number - numbers[0]) / (numbers[-1] - numbers[0]) for number in numbers]
    for n in _labelled(steps):
        anchor = "start" if n == 0 else "end" if n == len(steps) - 1 else "middle"
        name = _text(_short(trend["indexes"][n]))
        parts.append(f'<text x="{steps[n]:.1f}" y="{_HEIGHT - 26}" text-anchor="{anchor}">{name}</text>')
    lines = [*((layer[name], colour, "") for name, (colour, _) in _LINES.items()),
             (trend["accuracy"], _ACCURACY[0], _DASH)]  # fmt: skip
    for values, colour, dash in lines:
        points = [
            (step, _TOP + inner_height * (1 - value))
            for step, value in zip(steps, values, strict=True)
            if value is not None
        ]
        parts.append(_line(points, colour, dash))
    return f'<g transform="translate({x} {y})">\n' + "\n".join(filter(None, parts)) + "\n</g>"


def _line(points: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
    if not points:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>{dots}'


def _labelled(steps: Sequence[float]) -> list[int]:
    """The first, the last, and those in between that have room for a name."""
    shown = [0]
    for n in range(1, len(steps) - 1):
        if steps[n] - steps[shown[-1]] >= _ROOM and steps[-1] - steps[n] >= _ROOM:
            shown.append(n)
    return [*shown, len(steps) - 1]


def _legend(y: int, shown: Sequence[str], accuracy: bool) -> str:
    """The lines that there are, drawn as they are."""
    entries = [(*_LINES[name], "") for name in shown] + ([(*_ACCURACY, _DASH)] if accuracy else [])
    parts, x = [], _LEFT
    for colour, name, dash in entries:
        parts.append(f'<path d="M{x} {y - 4}h16" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{name}</text>')
        x += 34 + 6 * len(name)
    return "".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= 12 else name[:11] + "…"


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
