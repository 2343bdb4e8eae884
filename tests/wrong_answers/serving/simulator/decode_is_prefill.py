"""A token that is written is drawn as a prompt."""

FILE = "minillm/serving/watching/trace.py"
OLD = "start + 1 == request.num_tokens"
NEW = "start == request.num_tokens"
CAUGHT_BY = ("only_the_last_piece_of_a_prompt_gives_a_token",)
