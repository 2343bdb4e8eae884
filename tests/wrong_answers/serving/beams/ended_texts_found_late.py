"""What finishes after the last place was taken counts too."""

FILE = "minillm/decoding/beam.py"
OLD = "        if len(live) == rules.width:\n            break\n"
NEW = "        if len(live) == rules.width and token not in rules.stop_token_ids:\n            continue\n"
CAUGHT_BY = ("any_width_follows_the_rules", "a_step_says_whom_to_copy")
