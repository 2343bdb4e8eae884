"""The line is sorted by length: a long prompt is overtaken for ever."""

FILE = "minillm/serving/schedule/waiting_line.py"
OLD = "heappush(self._heap, (*self.key(request), request))"
NEW = "heappush(self._heap, (request.num_tokens, *self.key(request), request))"
CAUGHT_BY = (
    "an_uncut_prompt_waits_for_a_step_with_room",
    "random_days",
)
