"""The shares that ``parts.py`` measured, as a picture: one bar for each recording and runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

__all__ = ["draw_shares", "shares_of", "table_of"]

# One colour each, told apart by those who see few colours, too (Okabe and Ito, 2008).
COLOURS = {
    "decode": "#cc79a7",
    "resample": "#56b4e9",
    "features": "#009e73",
    "network": "#e69f00",
    "rest": "#999999",
}
WIDTH, BAR, ROW, TOP = 640, 24, 56, 44  # pixels
MARGIN = 12
LEAST = 0.05  # share of a part that has room for its number


def shares_of(ratios: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Title of each bar, to the share of each part; from the ratios of ``parts.py``."""
    bars: dict[str, dict[str, float]] = {}
    for name, share in ratios.items():
        found = re.fullmatch(r"(\w+) / whole, (.+), (torch|onnx)", name)
        if found is None or found[1] not in COLOURS:
            raise ValueError(f"no share of a part: {name!r}; expected 'decode / whole, ..., torch'")
        runtime = {"torch": "PyTorch", "onnx": "ONNX Runtime"}[found[3]]
        bars.setdefault(f"{found[2]}, {runtime}", {})[found[1]] = share
    return bars


def draw_shares(bars: Mapping[str, Mapping[str, float]]) -> str:
    """An SVG of stacked horizontal bars, each as long as the others."""
    height = TOP + ROW * len(bars) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
    ]
    for i, (part, colour) in enumerate(COLOURS.items()):
        left = MARGIN + i * (WIDTH - 2 * MARGIN) // len(COLOURS)
        parts.append(f'<rect x="{left}" y="14" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{left + 20}" y="26" fill="#222222">{part}</text>')
    for i, (title, shares) in enumerate(bars.items()):
        top = TOP + i * ROW
        parts.append(f'<text x="{MARGIN}" y="{top + 12}" fill="#222222">{escape(title)}</text>')
        parts += _bar(shares, top + 18)
    return "\n".join([*parts, "</svg>"]) + "\n"


def table_of(bars: Mapping[str, Mapping[str, float]]) -> str:
    """The same as a Markdown table, for those who see no pictures."""
    lines = [f"| | {' | '.join(COLOURS)} |", "|---" * (1 + len(COLOURS)) + "|"]
    for title, shares in bars.items():
        cells = (f"{shares.get(part, 0.0):.0%}" for part in COLOURS)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _bar(shares: Mapping[str, float], top: int) -> list[str]:
    found, total = [], sum(shares.values()) or 1.0
    left = float(MARGIN)
    for part, colour in COLOURS.items():
        share = shares.get(part, 0.0) / total
        width = share * (WIDTH - 2 * MARGIN)
        found.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}">'
            f"<title>{part} {share:.0%}</title></rect>"
        )
        if share >= LEAST:
            found.append(
                f'<text x="{left + width / 2:.1f}" y="{top + BAR - 7}" text-anchor="middle" '
                f'fill="#000000">{share:.0%}</text>'
            )
        left += width
    return found
