"""Waiting prompts are let in before those who run are served."""

FILE = "minillm/serving/schedule/policies.py"
OLD = """\
    step.serve(step.running)
    step.admit()


def splitfuse"""
NEW = """\
    running = list(step.running)
    step.admit()
    step.serve(running)


def splitfuse"""
CAUGHT_BY = (
    "one_arrival_a_step_does_not_hold_up_who_runs",
    "random_days",
)
