"""The widget pattern without a kernel: moving a control changes data, picture and words, and nothing is swallowed."""

import base64
import subprocess
import sys
from dataclasses import dataclass

import pytest

from minillm.errors import InvalidValue
from minillm.lab import figures
from minillm.lab.widgets import base


@dataclass
class Calls:
    compute: int = 0


def doubling(calls=None):
    def compute(state):
        if calls:
            calls.compute += 1
        if state["count"] == 3:
            raise ValueError("three <is> refused")
        return state["count"] * state["times"]

    def draw(total):
        fig = figures.figure("total", height=2)
        figures.bars(fig.axes[0], ["total"], [total], unit="things")
        return fig

    controls = [
        base.Slider("count", "Count", "things", 0, 10, 1, 2),
        base.Choice("times", "Times", "", (1, 2, 4), 2, ("one", "two", "four")),
        base.Steps("size", "Size", "tokens", (1, 2, 4), 2),
        base.TextLine("note", "Note", "text", "hello"),
    ]
    return base.Explorer("Doubling", controls, compute, draw, lambda total: f"total {total}")


def test_a_moved_control_changes_data_picture_and_words():
    panel = base.show(doubling())
    before = panel.image.value
    panel.control["count"].set_state({"value": 5})  # what a browser sends
    assert panel.data == 10
    assert "total 10" in panel.readout.value
    assert panel.image.value != before and bytes(panel.image.value).startswith(b"\x89PNG")


def test_an_error_in_a_callback_is_shown_escaped_and_then_cleared():
    panel = base.show(doubling())
    good = bytes(panel.image.value)
    panel.control["count"].value = 3
    assert "ValueError: three &lt;is&gt; refused" in panel.readout.value
    assert 'role="alert"' in panel.readout.value
    assert panel.data == 4 and panel.image.value == good
    panel.control["count"].value = 4
    assert "total 8" in panel.readout.value and "alert" not in panel.readout.value


def test_one_move_costs_one_computation():
    calls = Calls()
    panel = base.show(doubling(calls))
    assert calls.compute == 1
    panel.control["count"].value = 6
    assert calls.compute == 2


def test_every_control_is_labelled_and_answers_only_when_let_go():
    panel = base.show(doubling())
    labels = [control.description for control in panel.control.values()]
    assert labels == ["Count (things)", "Times", "Size (tokens)", "Note (text)"]
    assert not any(c.continuous_update for c in panel.control.values() if hasattr(c, "continuous_update"))
    assert panel.control["times"].options == (("one", 1), ("two", 2), ("four", 4))


def test_the_bundle_holds_live_view_still_picture_and_text_of_the_default_state():
    panel = base.show(doubling())
    default = panel._repr_mimebundle_()
    panel.control["count"].value = 9
    moved = panel._repr_mimebundle_()
    assert set(default) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert default["text/plain"] == moved["text/plain"] == "Doubling\ntotal 4"
    assert default["image/png"] == moved["image/png"]
    assert base64.b64decode(default["image/png"]) == doubling().still().png


def test_without_ipywidgets_the_same_call_gives_a_picture_that_says_so(monkeypatch):
    monkeypatch.setattr(base, "live_widgets_available", lambda: False)
    still = base.show(doubling())
    assert isinstance(still, figures.Picture)
    assert still.png == doubling().still().png
    assert repr(still).startswith("Doubling\ntotal 4\n") and "pip install ipywidgets" in repr(still)
    assert still.explorer.text(count=5) == "total 10"


def test_the_public_door_needs_no_ipywidgets_and_imports_no_plotting():
    code = (
        "import sys; sys.modules['ipywidgets'] = None; import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'ipywidgets' else real(name, *a)\n"
        "import minillm as ml; door = ml.lab.widgets.head_groups; assert 'matplotlib' not in sys.modules\n"
        "print(door(8))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "ipywidgets is not installed" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 11}, "count must lie between 0 and 10 things; got 11"),
        ({"count": "many"}, "got 'many'"),
        ({"count": True}, "got True"),
        ({"times": 3}, "times must be one of 1, 2, 4; got 3"),
        ({"note": 4}, "note must be a text"),
        ({"cuont": 1}, "did you mean 'count'"),
    ],
)
def test_a_state_outside_the_controls_is_refused(changes, message):
    with pytest.raises(InvalidValue, match=message):
        doubling().text(**changes)
