"""Priorities don't reach the scheduler."""

FILE = "minillm/serving/engine.py"
OLD = "requests = answer.begin(self.tokenizer, ends, priority=priority,"
NEW = "requests = answer.begin(self.tokenizer, ends, priority=0,"
CAUGHT_BY = ("salts_and_priorities_reach_the_scheduler",)
