"""Prompts fill the step before decodes are served."""

FILE = "minillm/serving/schedule/policies.py"
OLD = """\
    step.serve(request for request in step.running if not request.is_prefilling)
    step.serve(request for request in step.running if request.is_prefilling)
"""
NEW = """\
    decodes = [request for request in step.running if not request.is_prefilling]
    step.serve(request for request in step.running if request.is_prefilling)
    step.admit(whole=True)
    step.serve(decodes)
"""
CAUGHT_BY = (
    "splitfuse_serves_decodes_first_and_fills_the_step",
    "random_days",
)
