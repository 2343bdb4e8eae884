"""The kernel lab's live form: a button that compares, and the table of what is shown, to take away.

Imported only when a live widget is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minillm.lab.widgets.run_button import ButtonPanel

if TYPE_CHECKING:
    from minillm.lab.widgets.comparison import Comparison
    from minillm.lab.widgets.kernel_lab import KernelLab


class KernelPanel(ButtonPanel):
    """`.table()`, `.to_markdown()` and `.to_csv()` export the comparison that is shown; `.data` is that comparison."""

    data: Comparison

    def __init__(self, lab: KernelLab) -> None:
        super().__init__(lab, "Compare")
        # What a notebook stores must not depend on the machine: no times, no digits of an error.
        self._default_text = f"{lab.title}\n{lab.lasting(self.data)}"

    def table(self) -> list[dict[str, Any]]:
        """The rows shown, raw numbers in bytes, FLOPs and seconds."""
        return self.data.table()

    def to_markdown(self) -> str:
        """The table shown, as Markdown."""
        return self.data.to_markdown()

    def to_csv(self) -> str:
        """The table shown, as CSV."""
        return self.data.to_csv()
