"""The live shell: ipywidgets controls around an `Explorer`, redrawn when a control is let go.

The picture goes into an Image and the words into an HTML value, which are state of the widget itself: nothing is printed,
so a stored notebook stays clean. The container also hands out its default view as a PNG and as stable text, which is what
GitHub, paper and a notebook reopened without a kernel show. Imported only when a live widget is asked for.
"""

from __future__ import annotations

import html
from typing import Any

import ipywidgets

from minillm.lab.figures import DOTS_PER_INCH, SHOWN_PER_INCH, base64_png, png_size, to_png
from minillm.lab.widgets.base import Choice, Control, Explorer, Slider, Steps

CONTROL_LAYOUT = {"width": "560px", "max_width": "100%"}
CONTROL_STYLE = {"description_width": "190px"}
READOUT = '<pre role="status" aria-live="polite" style="margin:0; line-height:1.35; white-space:pre-wrap">{}</pre>'
REFUSAL = (
    '<pre role="alert" style="margin:0; padding:6px; border-left:4px solid #D55E00; white-space:pre-wrap">{}</pre>'
)


class Panel(ipywidgets.VBox):
    """A live widget. `.control[name].value` moves a control, `.data` is what it shows, `.readout` the words, `.image` the PNG."""

    def __init__(self, explorer: Explorer[Any]) -> None:
        self.explorer = explorer
        self.control = {control.name: _live(control) for control in explorer.controls}
        self.image = ipywidgets.Image(format="png")
        self.image.layout.max_width = "100%"
        self.readout = ipywidgets.HTML()
        self._redraw()
        self._default_png, self._default_text = (
            bytes(self.image.value),
            f"{explorer.title}\n{explorer.describe(self.data)}",
        )
        for control in self.control.values():
            control.observe(self._moved, names="value")
        super().__init__([*self.control.values(), self.image, self.readout])

    @property
    def state(self) -> dict[str, Any]:
        """The controls as they stand."""
        return {name: control.value for name, control in self.control.items()}

    def _moved(self, _change: object) -> None:
        # A callback's exception would vanish in a log; the learner sees it where the words are, and the last good picture stays.
        try:
            self._redraw()
        except Exception as error:
            self.readout.value = REFUSAL.format(html.escape(f"{type(error).__name__}: {error}"))

    def _redraw(self) -> None:
        data = self.explorer.compute(self.state)
        png, words = to_png(self.explorer.draw(data)), self.explorer.describe(data)
        self.data = data
        self.image.width = _shown_width(png)
        self.image.value = png
        self.readout.value = READOUT.format(html.escape(words))

    def __repr__(self) -> str:
        return self._default_text

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        return {**bundle, "image/png": base64_png(self._default_png), "text/plain": self._default_text}


def _live(control: Control) -> Any:
    unit = f" ({control.unit})" if control.unit else ""
    shared = {"description": f"{control.label}{unit}", "style": CONTROL_STYLE, "layout": CONTROL_LAYOUT}
    if isinstance(control, Slider):
        whole = all(float(v).is_integer() for v in (control.minimum, control.maximum, control.step, control.value))
        kind, number = (ipywidgets.IntSlider, int) if whole else (ipywidgets.FloatSlider, float)
        bounds = {"min": number(control.minimum), "max": number(control.maximum), "step": number(control.step)}
        return kind(value=number(control.value), continuous_update=False, **bounds, **shared)
    if isinstance(control, Steps):
        options = list(zip(control.texts or map(str, control.options), control.options, strict=True))
        if isinstance(control, Choice):
            return ipywidgets.Dropdown(options=options, value=control.value, **shared)
        return ipywidgets.SelectionSlider(options=options, value=control.value, continuous_update=False, **shared)
    return ipywidgets.Text(value=control.value, continuous_update=False, **shared)


def _shown_width(png: bytes) -> str:
    return str(round(png_size(png)[0] * SHOWN_PER_INCH / DOTS_PER_INCH))
