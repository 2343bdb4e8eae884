"""While a call runs, open streams lose what is written for them."""

FILE = "minillm/serving/llm.py"
OLD = "                taken.append(chunk)"
NEW = "                taken.append(chunk) if len(self.engine.answers.live) < 3 else None"
CAUGHT_BY = ("streams_are_written_along",)
