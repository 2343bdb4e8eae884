"""What a preempted text reads again is taken for writing."""

FILE = "minillm/serving/watching/trace.py"
OLD = "is_decode = request.num_output_tokens > 0 and start + 1 == request.num_tokens"
NEW = "is_decode = request.num_output_tokens > 0"
CAUGHT_BY = ("a_preempted_text_reads_again",)
