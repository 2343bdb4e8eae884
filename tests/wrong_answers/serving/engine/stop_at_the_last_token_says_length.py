"""A stop string complete with the last token allowed counts as length."""

FILE = "minillm/serving/writing/step.py"
OLD = "        request.finish_reason = reason  # which"
NEW = "        pass  # which"
CAUGHT_BY = ("random_days",)
