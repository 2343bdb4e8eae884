"""The IR explorer's live form: under the picture, all that the picked source line became, side by side, to scroll and copy.

Imported only when a live widget is asked for.
"""

from __future__ import annotations

import html

from minillm.lab.widgets.ir_view import IRView, StageLines, tally
from minillm.lab.widgets.shell import Panel

PAGE = (
    '<div role="status" aria-live="polite" style="width:0; min-width:100%"><p style="margin:4px 0; line-height:1.4"><b>{place}</b> <code>{code}</code></p>'
    '<div style="display:flex; flex-wrap:wrap; gap:10px">{sides}</div></div>'
)
SIDE = (
    '<div style="flex:1 1 320px; min-width:0; border-top:4px solid {colour}; padding-top:4px">'
    '<p style="margin:0 0 4px; line-height:1.4"><b>{name}</b>: {tally}</p>'
    '<pre tabindex="0" aria-label="{name}" style="margin:0; max-height:320px; overflow:auto; white-space:pre; line-height:1.35; '
    'font-size:11px">{lines}</pre></div>'
)
COLOURS = ("#0072B2", "#E69F00")


class IRPanel(Panel):
    """A `Panel` whose words are two columns of code."""

    data: IRView

    def _redraw(self) -> None:
        super()._redraw()
        self.readout.value = page(self.data)


def page(data: IRView) -> str:
    """The picked line and, for each side, a tally and every line it became, as HTML; all text escaped."""
    sides = "".join(_side(side, data.picked, colour) for side, colour in zip(data.sides, COLOURS, strict=False))
    code = html.escape(data.source.get(data.picked, "").strip())
    return PAGE.format(place=html.escape(data.picked), code=code, sides=sides)


def _side(side: StageLines, place: str, colour: str) -> str:
    lines = html.escape("\n".join(side.of(place))) or "(nothing)"
    return SIDE.format(colour=colour, name=html.escape(side.name), tally=html.escape(tally(side, place)), lines=lines)
