"""A stop string ends the text on the screen, and not in the scheduler."""

FILE = "minillm/serving/writing/step.py"
OLD = "            scheduler.finish(name, reason)\n        request.finish_reason"
NEW = "            pass\n        request.finish_reason"
CAUGHT_BY = ("random_days",)
