"""An engine's dealings with a proposer, who may be wrong in any way: drafts only save time, so nothing it does can do harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from operator import index

from minillm.decoding.sampling import Choice
from minillm.serving.request import Request
from minillm.serving.speculation.drafts import Proposer
from minillm.serving.writing.answer import Text


class Guesses:
    """A proposer for these texts, by the scheduler's names. `num_failed`: how often it raised."""

    def __init__(self, proposer: Proposer, texts: Mapping[str, Text], vocab_size: int):
        self.proposer, self.texts, self.vocab_size, self.num_failed = proposer, texts, vocab_size, 0

    def propose(self, running: Iterable[Request]) -> None:
        """Let drafts be verified behind every text that is being written."""
        writing = [r for r in running if r.num_output_tokens and not r.is_prefilling]
        try:
            found = self.proposer.propose(writing, self.proposer.k, self._choice_of)
            for request, ids in zip(writing, found, strict=True):
                request.draft_token_ids = list(map(index, takewhile(self._is_token, ids)))
        except Exception:
            self.num_failed += 1

    def forget(self, requests: Iterable[Request]) -> None:
        """These have ended, or lost their memory."""
        for request in requests:
            try:
                self.proposer.forget(request)
            except Exception:
                self.num_failed += 1

    def _is_token(self, token: int) -> bool:
        return 0 <= token < self.vocab_size

    def _choice_of(self, request: Request, draft_ids: Sequence[int]) -> Choice:
        return self.texts[request.request_id].choice(draft_ids)
