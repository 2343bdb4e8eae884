"""Measuring: exact counters, closed formulas, hardware ceilings, one timer and the record format.

The lowest floor of the house: everything above may use it, and it uses nothing above.
"""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "count": "minillm.measure.counters",
        "Counters": "minillm.measure.counters",
        "cost": "minillm.measure.cost:",
        "hardware": "minillm.measure.hardware:",
        "time_call": "minillm.measure.bench",
        "records": "minillm.measure.records:",
    },
)
