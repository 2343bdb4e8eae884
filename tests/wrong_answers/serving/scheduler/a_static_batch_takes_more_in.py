"""A text is let into a static batch that runs already."""

FILE = "minillm/serving/schedule/policies.py"
OLD = """\
        step.serve(step.running)
    else:
        step.admit()
        step.begin_batch()
"""
NEW = """\
        step.serve(step.running)
    step.admit()
    step.begin_batch()
"""
CAUGHT_BY = (
    "a_static_batch_waits_for_its_last",
    "random_days",
)
