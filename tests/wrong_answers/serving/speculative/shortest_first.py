"""The shortest n-gram that stood before is taken."""

FILE = "minillm/decoding/speculative.py"
OLD = "for n in range(min(self.max_ngram, end), self.min_ngram - 1, -1):"
NEW = "for n in range(self.min_ngram, min(self.max_ngram, end) + 1):"
CAUGHT_BY = ("look_up_finds_what_brute_force_finds",)
