"""The end token of a beam is decoded into its text."""

FILE = "minillm/serving/llm.py"
OLD = 'shown = beam.token_ids[:-1] if beam.finish_reason == "stop" else beam.token_ids'
NEW = "shown = beam.token_ids"
CAUGHT_BY = ("beams_come_best_first_and_leave_nothing",)
