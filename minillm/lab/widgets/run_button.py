"""A live widget that computes when told to: moving a control marks what is shown as old, and a button makes it new.

For comparisons that take longer than a slider's patience. Imported only when a live widget is asked for.
"""

from __future__ import annotations

import html
from typing import Any

import ipywidgets

from minillm.lab.widgets.base import Explorer
from minillm.lab.widgets.shell import REFUSAL, Panel

OLD = '<div role="status" style="padding:4px 6px; border-left:4px solid #E69F00">{}</div>'


class ButtonPanel(Panel):
    """A `Panel` whose `.button` computes; `.notice` tells when what is shown is not what the controls say."""

    def __init__(self, explorer: Explorer[Any], label: str) -> None:
        super().__init__(explorer)
        self.button = ipywidgets.Button(description=label, button_style="primary", tooltip=f"{label} (Enter or Space)")
        self.button.on_click(lambda _button: self.run())
        self.notice = ipywidgets.HTML()
        self._label = label
        controls = [self.control[control.name] for control in explorer.controls]
        self.children = (*controls, self.button, self.notice, self.image, self.readout)

    def run(self) -> None:
        """Compute with the controls as they stand, as a press of the button does; an error is shown in its place."""
        self.button.disabled, self.button.description = True, "Working …"
        try:
            self._redraw()
            self.notice.value = ""
        except Exception as error:
            self.notice.value = REFUSAL.format(html.escape(f"{type(error).__name__}: {error}"))
        finally:
            self.button.disabled, self.button.description = False, self._label

    def _moved(self, _change: object) -> None:
        self.notice.value = OLD.format(f"The controls have moved; press {html.escape(self._label)}.")
