"""The first place is kept, however far back."""

FILE = "minillm/decoding/speculative.py"
OLD = "                self._after[tuple(text[end - n : end])] = end\n"
NEW = "                self._after.setdefault(tuple(text[end - n : end]), end)\n"
CAUGHT_BY = ("look_up_finds_what_brute_force_finds",)
