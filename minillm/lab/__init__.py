"""What the notebooks show: figures, widgets, checks, predictions and the doctor."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "doctor": "minillm.lab.doctor",
        "figures": "minillm.lab.figures:",
        "widgets": "minillm.lab.widgets:",
    },
)
