"""A step of prompts takes the decodes along."""

FILE = "minillm/serving/schedule/policies.py"
OLD = """\
    if not step.shares:
        step.serve(step.running)
"""
NEW = """\
    step.serve([r for r in step.running if r.request_id not in step._served])
"""
CAUGHT_BY = (
    "prompts_first_starves_who_runs",
    "random_days",
)
