"""The prompt is counted with every token."""

FILE = "minillm/serving/metrics.py"
OLD = "            if before is None:\n                self.prompt_tokens.add(life.request.num_prompt_tokens)\n"
NEW = "            self.prompt_tokens.add(life.request.num_prompt_tokens)\n            if before is None:\n"
CAUGHT_BY = ("an_engine_counts_tokens_and_ends",)
