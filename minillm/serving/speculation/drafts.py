"""Where an engine's guesses come from: the text itself, a small model that reads along, or a proposer of your own."""

from __future__ import annotations

from collections.abc import Sequence

from minillm.decoding.speculative import NgramIndex
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.measure.numbers import require_whole
from minillm.model.checkpoint import load_model
from minillm.model.decoder import Decoder
from minillm.serving.request import Request
from minillm.serving.speculation.draft_model import DraftModelProposer
from minillm.serving.speculation.proposer import ChoiceOf, Proposer, useful_drafts


class NgramProposer:
    """Proposes what followed the text's last tokens where they stood before; see NgramIndex."""

    vocab_size: int | None = None

    def __init__(self, k: int = 4, max_ngram: int = 3, min_ngram: int = 1):
        require_whole(k=k)
        NgramIndex(max_ngram, min_ngram)  # refuses what is out of range
        self.k, self.max_ngram, self.min_ngram = k, max_ngram, min_ngram
        self._known: dict[str, tuple[Request, NgramIndex]] = {}

    def propose(self, requests: Sequence[Request], k: int, choice_of: ChoiceOf | None = None) -> list[list[int]]:
        """See Proposer. A step costs the tokens that are new."""
        require_whole(at_least=0, k=k)
        return [self._propose(request, min(k, useful_drafts(request))) for request in requests]

    def forget(self, request: Request) -> None:
        """See Proposer."""
        self._known.pop(request.request_id, None)

    def _propose(self, request: Request, k: int) -> list[int]:
        if k < 1:
            return []
        known, index = self._known.get(request.request_id, (None, None))
        if index is None or known is not request:
            index = NgramIndex(self.max_ngram, self.min_ngram)
            self._known[request.request_id] = request, index
        index.extend(request.token_ids[len(index.token_ids) :])
        return index.propose(k)

    def __repr__(self) -> str:
        return f"NgramProposer(k={self.k}, {self.max_ngram} to {self.min_ngram} tokens, {len(self._known)} texts)"


def as_proposer(
    speculative: str | Proposer | None, model: Decoder, *, num_blocks: int, block_size: int = 16
) -> Proposer | None:
    """What an engine was told -> a proposer for its model: "ngram", "draft" (the bundled draft model), one of your own, or None.

    Raises InvalidType or InvalidValue for anything else, and for a draft model with another vocabulary.
    """
    if speculative is None:
        return None
    proposer: Proposer
    if isinstance(speculative, str):
        if speculative == "ngram":
            return NgramProposer()
        if speculative != "draft":
            raise unknown_name("proposer", speculative, ("ngram", "draft"))
        draft = load_model("tiny-draft", dtype=model.dtype, device=model.device)
        proposer = DraftModelProposer(draft, num_blocks, block_size=block_size)
    elif _can_propose(speculative):
        proposer = speculative
    else:
        rule = "speculative must be 'ngram', 'draft' or a proposer"
        raise InvalidType(rule_numbers_remedy(rule, f"{speculative!r:.60}", "use NgramProposer(4)"))
    if proposer.vocab_size not in (None, model.config.vocab_size):
        rule = f"a draft must share the model's vocabulary of {model.config.vocab_size} tokens"
        raise InvalidValue(rule_numbers_remedy(rule, f"one of {proposer.vocab_size}", "use speculative='ngram'"))
    return proposer


def _can_propose(speculative: object) -> bool:
    can = all(callable(getattr(speculative, name, None)) for name in ("propose", "forget"))
    return can and all(hasattr(speculative, name) for name in ("k", "vocab_size"))
