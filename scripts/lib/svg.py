"""Bar charts as SVG: horizontal bars with a mark each, with their own background, so that they read in both colour
schemes of the page around them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH = 800
MARGIN = 24
ROW = 22
BAR_HEIGHT = 12
# Where bars begin and end. Labels are left of them, notes right.
LEFT = 190
RIGHT = 500
STYLE = """
  .paper { fill: #ffffff; stroke: #d0d7de } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .note { fill: #59636e }
  .end { text-anchor: end } .middle { text-anchor: middle }
  .axis { stroke: #8c959f } .bar { fill: #0969da } .missed { fill: #bc4c00 } .mark { stroke: #1f2328; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc } .note { fill: #9198a1 } .axis { stroke: #656c76 }
    .bar { fill: #4493f8 } .missed { fill: #db6d28 } .mark { stroke: #f0f6fc }
  }
"""


@dataclass(frozen=True)
class Bar:
    """A value with its label, a note for the reader, a mark on the same scale, and whether the mark's limit is met."""
    label: str
    value: float
    note: str
    mark: float | None = None
    is_met: bool | None = None


@dataclass(frozen=True)
class Panel:
    """Bars on one scale from 0. `mark` says what their marks mean; `line` is a value that all compare with."""
    title: str
    bars: list[Bar]
    mark: str
    line: float | None = None

    @property
    def height(self) -> int:
        return 58 + ROW * len(self.bars)

    def x(self, value: float) -> float:
        """Where a value of the scale is."""
        most = max([self.line or 0.0, *(max(bar.value, bar.mark or 0.0) for bar in self.bars)])
        return round(LEFT + (RIGHT - LEFT) * value / (most or 1.0), 1)

    def svg(self, top: int) -> list[str]:
        """The elements of the panel, whose upper edge is at `top`."""
        first = top + 36
        bottom = first + ROW * len(self.bars)
        found = [text("panel", MARGIN, top + 20, self.title)]
        if any(bar.mark is not None for bar in self.bars):
            found.append(f'<line class="mark" x1="{WIDTH - MARGIN - 90}" x2="{WIDTH - MARGIN - 90}" '
                         f'y1="{top + 9}" y2="{top + 23}"/>')
            found.append(text("note", WIDTH - MARGIN - 82, top + 20, self.mark))
        for index, bar in enumerate(self.bars):
            found += self.row(bar, first + ROW * index)
        for value in (0.0, *([self.line] if self.line is not None else [])):
            x = self.x(value)
            found.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{first - 4}" y2="{bottom}"/>')
            found.append(text("note middle", x, bottom + 14, f"{value:g}"))
        return found

    def row(self, bar: Bar, top: int) -> list[str]:
        """A bar with its texts."""
        middle, style = top + 11, "missed" if bar.is_met is False else "bar"
        width = round(self.x(bar.value) - LEFT, 1)
        found = [text("end", LEFT - 10, middle + 4, bar.label),
                 f'<rect class="{style}" x="{LEFT}" y="{middle - BAR_HEIGHT // 2}" width="{width}" '
                 f'height="{BAR_HEIGHT}" rx="2"/>']
        if bar.mark is not None:
            x = self.x(bar.mark)
            found.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{middle - 9}" y2="{middle + 9}"/>')
        found.append(text("note", RIGHT + 14, middle + 4, bar.note))
        return found


def text(style: str, x: float, y: float, content: str) -> str:
    return f'<text class="{style}" x="{x}" y="{y}">{escape(content)}</text>'


def description(panels: list[Panel]) -> str:
    """All bars as text, for those who do not see them."""
    rows = []
    for panel in panels:
        rows.append(f"{panel.title}. {'; '.join(f'{bar.label}: {bar.note}' for bar in panel.bars)}.")
    return " ".join(rows)


def document(title: str, panels: list[Panel]) -> str:
    """The panels below each other."""
    found, top = [text("title", MARGIN, 34, title)], 46
    for panel in panels:
        found += panel.svg(top)
        top += panel.height
    height = top + 12
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            'role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>', f'<desc id="desc">{escape(description(panels))}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>']
    return "\n".join([*head, *found, "</svg>", ""])
