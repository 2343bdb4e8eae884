"""All answers of an engine, those being written and those last finished, by request id; and their texts, by text id."""

from __future__ import annotations

from collections import OrderedDict

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.serving.writing.answer import Answer, Text, text_id

KEPT = 1000  # finished answers that are remembered


class Answers:
    """`texts` holds unfinished texts by the scheduler's names for them, `live` the answers they belong to."""

    def __init__(self) -> None:
        self.texts: dict[str, Text] = {}
        self.live: dict[str, Answer] = {}
        self.done: OrderedDict[str, Answer] = OrderedDict()
        self._num_named = 0

    def name(self, wanted: str | None, n: int) -> list[str]:
        """Names for the n texts of a request that is to be called so, or by a number. Raises InvalidValue for one in use."""
        if wanted is not None:
            require_id(wanted)
        while wanted is None:
            free = f"request-{self._num_named}"
            self._num_named += 1
            wanted = None if any(free in taken for taken in (self.texts, self.live, self.done)) else free
        names = [text_id(wanted, index) for index in range(n)]
        taken = next((name for name in names if name in self.texts), None)
        if taken is not None or wanted in self.live:
            remedy = "wait until that one has ended, or leave the id out"
            raise InvalidValue(
                rule_numbers_remedy("a request id is used once at a time", repr(taken or wanted), remedy)
            )
        return names

    def add(self, answer: Answer) -> None:
        """Write an answer from now on; one that is done and had its name is forgotten."""
        self.done.pop(answer.request_id, None)
        self.live[answer.request_id] = answer
        for text in answer.texts:
            self.texts[text.request.request_id] = text

    def find(self, request_id: str) -> Answer:
        """Raises InvalidValue for one that is unknown, or long forgotten."""
        require_id(request_id)
        answer = self.live.get(request_id) or self.done.get(request_id)
        if answer is None:
            raise unknown_name("request", request_id, [*self.live, *self.done][-8:])
        return answer

    def find_live(self, request_id: str) -> Answer:
        """Raises InvalidValue for one that is unknown or has ended."""
        require_id(request_id)
        if request_id in self.done:
            rule, remedy = "only a request that is being written can be aborted", "read its output"
            raise InvalidValue(rule_numbers_remedy(rule, f"{request_id!r}, which has ended", remedy))
        return self.find(request_id)

    def retire(self, name: str) -> Text:
        """A text has ended, and if it was the last of its answer, that has -> the text."""
        text = self.texts.pop(name)
        answer = text.answer
        answer.num_unfinished -= 1
        if answer.is_finished:
            del self.live[answer.request_id]
            self.done[answer.request_id] = answer
            if len(self.done) > KEPT:
                self.done.popitem(last=False)
        return text


def require_id(request_id: object) -> None:
    """Raise InvalidType for what cannot be the name of a request."""
    if not isinstance(request_id, str):
        raise InvalidType(rule_numbers_remedy("request_id must be a string", f"{request_id!r:.60}", "pass a name"))
