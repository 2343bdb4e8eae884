"""Stop tokens are taken as they come."""

FILE = "minillm/decoding/beam.py"
OLD = "            require_whole(at_least=0, stop_token_id=token)\n"
NEW = "            pass\n"
CAUGHT_BY = ("rules_refuse_what_means_nothing", "odd_calls_are_refused_before_any_work")
