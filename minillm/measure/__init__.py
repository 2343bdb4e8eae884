"""Measuring: exact counters, closed formulas, hardware ceilings, one timer and the record format.

The lowest floor of the house: everything above may use it, and it uses nothing above.
"""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "count": "minillm.measure.counters",
        "Counters": "minillm.measure.counters",
        "on_chip": "minillm.measure.chip",
        "load": "minillm.measure.chip",
        "store": "minillm.measure.chip",
        "cost": "minillm.measure.cost:",
        "hardware": "minillm.measure.hardware:",
        "time_call": "minillm.measure.bench",
        "compare_calls": "minillm.measure.bench",
        "compare_on_gpu": "minillm.measure.gpu_bench",
        "Timing": "minillm.measure.bench",
        "Record": "minillm.measure.record",
        "Measurement": "minillm.measure.record",
        "Untimed": "minillm.measure.record",
        "load_record": "minillm.measure.record",
        "save_record": "minillm.measure.record",
        "records": "minillm.measure.record",
    },
)
