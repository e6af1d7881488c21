"""Bar charts as SVG, without a library."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_END = 'text-anchor="end"'
_LINE, _LABEL, _PANEL, _GAP = 20, 170, 260, 60


def bars(names: Sequence[str], panels: dict[str, Sequence[float]]) -> str:
    """Draw a panel of bars for each series, side by side: one bar for each name.

    Args:
        names: What the bars are of.
        panels: The values by title; one that is not a number has no bar.
    """
    parts = []
    for line, name in enumerate(names):
        y = _LINE * (line + 2.5)
        parts.append(f'<text x="{_LABEL - 8}" y="{y}" {_END}>{escape(name)}</text>')
    for panel, (title, values) in enumerate(panels.items()):
        x = _LABEL + panel * (_PANEL + _GAP)
        parts.append(f'<text x="{x}" y="{_LINE}">{escape(title)}</text>')
        most = max((v for v in values if not math.isnan(v)), default=1) or 1
        for line, value in enumerate(values):
            if math.isnan(value):
                continue
            width, y = max(1, _PANEL * value / most), _LINE * (line + 1.75)
            fill = "#0b6" if names[line].startswith("offhook") else "#999"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{width:.0f}" height="{_LINE - 4}" '
                f'fill="{fill}"/><text x="{x + width + 4:.0f}" y="{y + 14}">'
                f"{value:.3g}</text>"
            )
    width = _LABEL + len(panels) * (_PANEL + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{_LINE * (len(names) + 3)}" font-family="sans-serif" '
        f'font-size="12">{"".join(parts)}</svg>\n'
    )
