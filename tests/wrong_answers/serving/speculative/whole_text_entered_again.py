"""Every token enters every n-gram of the text once more."""

FILE = "minillm/decoding/speculative.py"
OLD = "            for n in range(self.min_ngram, min(self.max_ngram, end) + 1):\n                self._after[tuple(text[end - n : end])] = end\n"
NEW = "            for end in range(1, len(text) + 1):\n                for n in range(self.min_ngram, min(self.max_ngram, end) + 1):\n                    self._after[tuple(text[end - n : end])] = end\n"
CAUGHT_BY = ("a_token_costs_the_same_in_a_long_text",)
