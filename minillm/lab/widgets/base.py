"""How every widget is made: a state of the controls becomes data, data becomes a figure and a text.

Those three steps are plain functions and need no browser, so they are tested, printed and stored like any other. The
live part is a thin shell (`shell.py`) that re-runs them when a control moves; where ipywidgets is not installed, the same
call shows the default view as a still picture instead.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from minillm.errors import InvalidValue, nearest_name, rule_numbers_remedy
from minillm.lab.figures import Picture, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel

Data = TypeVar("Data")
State = Mapping[str, Any]

STILL_NOTE = "This is a still picture: ipywidgets is not installed. To move the controls: pip install ipywidgets"


@dataclass(frozen=True)
class Slider:
    """A number between two bounds, set by arrow keys, by dragging, or by typing into its read-out box."""

    name: str
    label: str
    unit: str
    minimum: float
    maximum: float
    step: float
    value: float

    def accepts(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.minimum <= value <= self.maximum

    def rule(self) -> str:
        return f"{self.name} must lie between {self.minimum} and {self.maximum} {self.unit}".rstrip()


@dataclass(frozen=True)
class Steps:
    """A slider over a few listed values, such as the divisors of a head count."""

    name: str
    label: str
    unit: str
    options: tuple[Any, ...]
    value: Any
    texts: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        return value in self.options

    def rule(self) -> str:
        return f"{self.name} must be one of {', '.join(map(str, self.options))}"


@dataclass(frozen=True)
class Choice(Steps):
    """A drop-down list of named options."""


@dataclass(frozen=True)
class TextLine:
    """A line of text, taken when Enter is pressed."""

    name: str
    label: str
    unit: str
    value: str

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def rule(self) -> str:
        return f"{self.name} must be a text"


Control = Slider | Steps | TextLine


@dataclass(frozen=True)
class Explorer(Generic[Data]):
    """One question with controls: `compute(state) -> data`, `draw(data) -> Figure`, `describe(data) -> text`.

    `state` maps each control's name to its value. All three functions are pure; `compute` may raise, and the shell then
    shows the error's text in the place of the figure's text.
    """

    title: str
    controls: Sequence[Control]
    compute: Callable[[State], Data]
    draw: Callable[[Data], Figure]
    describe: Callable[[Data], str]

    def state(self, **changes: Any) -> dict[str, Any]:
        """The default state with some values changed. Raises InvalidValue for an unknown control or a value outside its rule."""
        known = {control.name: control for control in self.controls}
        for name, value in changes.items():
            if name not in known:
                raise InvalidValue(
                    f"no control {name!r}{nearest_name(name, known)}; this widget has: {', '.join(known)}."
                )
            if not known[name].accepts(value):
                raise InvalidValue(
                    rule_numbers_remedy(known[name].rule(), repr(value), "choose a value the control offers")
                )
        return {name: changes.get(name, control.value) for name, control in known.items()}

    def data(self, **changes: Any) -> Data:
        """What the widget knows in that state."""
        return self.compute(self.state(**changes))

    def text(self, **changes: Any) -> str:
        """What the widget says in that state."""
        return self.describe(self.data(**changes))

    def still(self, **changes: Any) -> Picture:
        """That state as a picture with its text: for paper, for a page without a kernel, for a test."""
        data = self.data(**changes)
        return picture(self.draw(data), f"{self.title}\n{self.describe(data)}")


@dataclass(frozen=True, repr=False)
class Still(Picture):
    """A widget that cannot move here: its default view, with the same `.explorer` to ask for any other state."""

    explorer: Explorer[Any]


def show(explorer: Explorer[Any]) -> Panel | Still:
    """The live widget, or, without ipywidgets, its default view as a picture whose text says so.

    Either way `.explorer.text(control=value)` and `.explorer.still(control=value)` give any other state.
    """
    if not live_widgets_available():
        still = explorer.still()
        return Still(still.png, f"{still.text}\n{STILL_NOTE}", explorer)
    from minillm.lab.widgets.shell import Panel

    return Panel(explorer)


def live_widgets_available() -> bool:
    """Whether ipywidgets can be imported, without importing it."""
    return importlib.util.find_spec("ipywidgets") is not None
