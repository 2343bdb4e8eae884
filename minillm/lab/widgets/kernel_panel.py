"""The kernel lab's live form: a button that compares, the table under the picture, and the same table to take away.

Imported only when a live widget is asked for.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from minillm.lab.widgets.comparison import Comparison, remarks
from minillm.lab.widgets.contest import FAILED, RIGHT, WRONG
from minillm.lab.widgets.run_button import ButtonPanel

if TYPE_CHECKING:
    from minillm.lab.widgets.kernel_lab import KernelLab

# "width:0; min-width:100%": as wide as the notebook gives it, so that what is wider scrolls instead of being cut off.
PAGE = (
    '<div role="status" aria-live="polite" style="width:0; min-width:100%; line-height:1.4"><p style="margin:4px 0"><b>{heading}</b></p>'
    '<div style="overflow-x:auto"><table style="border-collapse:collapse; font-size:13px; font-variant-numeric:tabular-nums">'
    '<caption style="display:none">{heading}</caption><thead><tr style="border-bottom:1px solid #6B6B6B">{names}</tr>'
    "</thead><tbody>{rows}</tbody></table></div>{remarks}</div>"
)
CELL = "<{kind} style='padding:2px 5px; text-align:{side}; vertical-align:bottom; white-space:{wrap}'>{text}</{kind}>"
REMARK = '<p style="margin:2px 0; overflow-wrap:anywhere">{}</p>'
SIGNS = {RIGHT: "✓", WRONG: "✗", FAILED: "✗"}
WORDS = 2  # columns of words, to the left; the rest are numbers, to the right


class KernelPanel(ButtonPanel):
    """`.table()`, `.to_markdown()` and `.to_csv()` export the comparison that is shown; `.data` is that comparison."""

    data: Comparison

    def __init__(self, lab: KernelLab) -> None:
        super().__init__(lab, "Compare")
        # What a notebook stores must not depend on the machine: no times, no digits of an error.
        self._default_text = f"{lab.title}\n{lab.lasting(self.data)}"

    def _redraw(self) -> None:
        super()._redraw()
        self.readout.value = page(self.data)

    def table(self) -> list[dict[str, Any]]:
        """The rows shown, raw numbers in bytes, FLOPs and seconds."""
        return self.data.table()

    def to_markdown(self) -> str:
        """The table shown, as Markdown."""
        return self.data.to_markdown()

    def to_csv(self) -> str:
        """The table shown, as CSV."""
        return self.data.to_csv()


def page(data: Comparison) -> str:
    """The comparison's table and remarks as HTML; all text escaped."""
    names, rows = data.readable()
    cells = [[row[0], f"{SIGNS.get(row[1], '')} {row[1]}".strip(), *row[2:]] for row in rows]
    return PAGE.format(
        heading=html.escape(data.heading),
        names=_row("th", names),
        rows="".join(f"<tr>{_row('td', row)}</tr>" for row in cells),
        remarks="".join(REMARK.format(html.escape(line)) for line in remarks(data)),
    )


def _row(kind: str, texts: list[str]) -> str:
    sides = ["left"] * WORDS + ["right"] * (len(texts) - WORDS)
    wrap = "normal" if kind == "th" else "nowrap"  # a heading may break, a number and its unit may not
    cells = zip(texts, sides, strict=True)
    return "".join(CELL.format(kind=kind, side=side, wrap=wrap, text=html.escape(text)) for text, side in cells)
