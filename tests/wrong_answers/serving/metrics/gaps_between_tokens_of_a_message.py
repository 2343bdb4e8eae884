"""Two tokens of one message have a gap of 0 between them, and speculation looks smooth."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "for a, b in pairwise(self.token_times) if b > a)"
NEW = "for a, b in pairwise(self.token_times))"
CAUGHT_BY = ("gaps_are_between_messages", "histograms_hold_what_the_requests_say")
