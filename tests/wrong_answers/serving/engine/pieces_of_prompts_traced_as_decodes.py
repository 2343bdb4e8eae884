"""A prompt's last piece passes for a token that is written."""

FILE = "minillm/serving/watching/trace.py"
OLD = "request.num_output_tokens > 0 and start + 1 == request.num_tokens"
NEW = "start + num_tokens == request.num_tokens"
CAUGHT_BY = ("traces_say_what_was_done",)
