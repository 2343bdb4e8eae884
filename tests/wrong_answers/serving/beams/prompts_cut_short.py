"""What does not fit into a pass is not read."""

FILE = "minillm/serving/beams.py"
OLD = "            passes[-1].append(_Part(i, prompt[start:stop], stop == len(prompt)))\n            room, start = room - (stop - start), stop\n"
NEW = "            passes[-1].append(_Part(i, prompt[start:stop], True))\n            room, start = room - (stop - start), len(prompt)\n"
CAUGHT_BY = ("paged_beams_are_those_that_recompute_everything",)
