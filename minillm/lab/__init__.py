"""What the notebooks show: figures, widgets, checks, predictions and the doctor."""

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "check": "minillm.lab.checks.judge",
        "hint": "minillm.lab.checks.judge",
        "predict": "minillm.lab.predictions",
        "score": "minillm.lab.predictions",
        "calibration": "minillm.lab.predictions",
        "grade_notebook": "minillm.lab.grading.grade",
        "exercises": "minillm.lab.exercises:",
        "doctor": "minillm.lab.doctor",
        "compare_kernels": "minillm.lab.widgets.kernel_lab",
        "compare_schedules": "minillm.lab.widgets.schedule_compare",
        "figures": "minillm.lab.figures:",
        "record_charts": "minillm.lab.record_charts:",
        "widgets": "minillm.lab.widgets:",
    },
)
