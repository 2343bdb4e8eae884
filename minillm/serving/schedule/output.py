"""What one step will do: whose tokens are computed, which blocks are copied first, who came and who had to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.serving.request import Request


class Share(NamedTuple):
    """One request's part of a step: its tokens at positions start … start + num_tokens − 1 are computed.

    The last `num_drafts` of them are guesses. `samples`: the share reaches the end of what is known, so the model's scores
    at its last num_drafts + 1 tokens choose what follows.
    """

    request: Request
    start: int
    num_tokens: int
    num_drafts: int
    samples: bool

    @property
    def token_ids(self) -> list[int]:
        """The tokens to compute, drafts last."""
        known = self.start + self.num_tokens - self.num_drafts
        return self.request.token_ids[self.start : known] + self.request.draft_token_ids[: self.num_drafts]


@dataclass(frozen=True)
class SchedulerOutput:
    """One step. `admitted` and `preempted` are request ids.

    `copies` are blocks, (source, destination), to be copied before anything is computed, all at once. `num_padding_tokens`
    are computed for nobody: only static batches have them.
    """

    shares: tuple[Share, ...]
    copies: tuple[tuple[int, int], ...]
    admitted: tuple[str, ...]
    preempted: tuple[str, ...]
    num_padding_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        """How many tokens are computed, padding not counted."""
        return sum(share.num_tokens for share in self.shares)

    def require_tokens(self, sampled: Mapping[str, Sequence[int]]) -> None:
        """Raise InvalidType or InvalidValue unless every share that samples, and no other, has tokens that it can have."""
        if not isinstance(sampled, Mapping):
            raise InvalidType(rule_numbers_remedy("tokens come by request id", repr(sampled), "pass a dict"))
        unknown = set(sampled)
        for share in self.shares:
            request, samples = share.request, share.samples
            if samples:
                unknown.discard(request.request_id)
                tokens = sampled.get(request.request_id, ())
                # Almost always there is just one.
                if request.finish_reason is None and not (len(tokens) == 1 and type(tokens[0]) is int):
                    _require_accepted(share, tokens)
        if unknown:
            rule = "tokens are chosen only for shares that sample"
            raise InvalidValue(rule_numbers_remedy(rule, ", ".join(map(repr, unknown)), "leave the others out"))


def _require_accepted(share: Share, tokens: Sequence[int]) -> None:
    """Raise InvalidValue unless these are accepted drafts of the share, and one token behind them."""
    name, drafts = share.request.request_id, share.request.draft_token_ids
    if not (0 < len(tokens) <= share.num_drafts + 1 and all(type(token) is int for token in tokens)):
        rule = f"1 to {share.num_drafts + 1} token ids must be chosen for {name!r}"
        raise InvalidValue(rule_numbers_remedy(rule, repr(tokens), "pass the accepted drafts and one more"))
    if list(tokens[:-1]) != drafts[: len(tokens) - 1]:
        rule = f"all tokens for {name!r} but the last must be accepted drafts"
        raise InvalidValue(rule_numbers_remedy(rule, f"{list(tokens)} for {drafts}", "stop at the first that differs"))
