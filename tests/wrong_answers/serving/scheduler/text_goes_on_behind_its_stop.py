"""Accepted guesses behind a stop token become part of the text."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
            if request.finish_reason is not None:
                break
"""
NEW = ""
CAUGHT_BY = (
    "a_stop_among_the_guesses_ends_the_text",
    "random_days",
)
