"""Who guesses what comes next: the text itself, or a small model that reads along.

A proposer sees the requests as they are and names up to k tokens for each. Whatever it names, the texts stay what they would
be without it: the engine has the target model check every guess. So a proposer may be wrong, stale, or out of memory, and
then it costs time or says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from minillm.cache.block_table import BlockTable
from minillm.decoding.sampling import Choice, choose_tokens
from minillm.decoding.speculative import NgramIndex
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.measure.numbers import require_whole
from minillm.model.checkpoint import load_model
from minillm.model.decoder import Decoder
from minillm.serving.request import Request
from minillm.serving.runner import PagedLoop

# How the engine chooses a request's next token, were these guesses already written: its parameters, and that position's noise.
ChoiceOf = Callable[[Request, Sequence[int]], Choice]


class Proposer(Protocol):
    """Anything that guesses."""

    @property
    def k(self) -> int:
        """How many tokens it proposes at most."""

    @property
    def vocab_size(self) -> int | None:
        """What it names lies below this; None where it names only what the text holds."""

    def propose(self, requests: Sequence[Request], k: int, choice_of: ChoiceOf | None = None) -> list[list[int]]:
        """-> up to k tokens for each request, in order; none for whom nothing comes to mind."""

    def forget(self, request: Request) -> None:
        """The request has ended or lost its memory; nothing happens if it was never seen."""


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


@dataclass
class _Reader:
    """One text as the draft model knows it: `table` holds the first of its `known` tokens, and then `drafts` of its own."""

    request: Request
    table: BlockTable
    known: int = 0
    drafts: list[int] = field(default_factory=list)
    wanted: int = 0

    @property
    def unread(self) -> int:
        return self.request.num_tokens - self.table.length

    def rewind(self, wanted: int) -> None:
        """Drop what was read of drafts that were not written, and the last token's too: its scores are needed again."""
        tokens = self.request.token_ids
        written = tokens[self.known : self.known + len(self.drafts)]
        right = next((i for i, (a, b) in enumerate(zip(self.drafts, written, strict=False)) if a != b), len(written))
        self.table.truncate(min(self.table.length, self.known + right, len(tokens) - 1))
        self.known, self.drafts, self.wanted = len(tokens), [], wanted


class DraftModelProposer:
    """A small model writes k tokens behind each text, all texts together, and remembers them in a paged cache of its own.

    k passes over one token a text, the first also over whatever it has not read yet, at most `max_num_batched_tokens` in all:
    a text with more left to read gets no drafts until that is done. Given `choice_of`, a guess is chosen as the target will
    choose: same parameters, same noise, so that two models that nearly agree draw the same token. A text for which there are
    no blocks gets no drafts, and gives back those it had. Raises InvalidType or InvalidValue when built.
    """

    def __init__(
        self, model: Decoder, num_blocks: int, k: int = 4, *, block_size: int = 16, max_num_batched_tokens: int = 512
    ):
        if not isinstance(model, Decoder):
            raise InvalidType(rule_numbers_remedy("a draft model is a Decoder", f"{model!r:.60}", "use ml.load_model"))
        require_whole(k=k, max_num_batched_tokens=max_num_batched_tokens)
        self.k, self.budget = k, max_num_batched_tokens
        self.vocab_size: int | None = model.config.vocab_size
        self.most_positions = model.config.max_position_embeddings
        self.cache = model.new_paged_cache(num_blocks, block_size)
        self.device, self._loop = model.device, PagedLoop(model)
        self._readers: dict[str, _Reader] = {}

    def propose(self, requests: Sequence[Request], k: int, choice_of: ChoiceOf | None = None) -> list[list[int]]:
        """See Proposer."""
        require_whole(at_least=0, k=k)
        readers = [self._reader(request, self._room(request, k)) for request in requests]
        shares = self._shares([reader for reader in readers if reader])
        if shares:
            self._write(shares, choice_of)
        return [reader.drafts if reader else [] for reader in readers]

    def forget(self, request: Request) -> None:
        """See Proposer. Its blocks are free again."""
        reader = self._readers.pop(request.request_id, None)
        if reader is not None:
            reader.table.free()

    def _room(self, request: Request, k: int) -> int:
        """How many drafts are of use; the last one is written but not read, so it needs no position."""
        return min(k, useful_drafts(request), self.most_positions - request.num_tokens + 1)

    def _reader(self, request: Request, wanted: int) -> _Reader | None:
        if wanted < 1:
            return None
        reader = self._readers.get(request.request_id)
        if reader is None or reader.request is not request:
            if reader is not None:
                reader.table.free()
            reader = self._readers[request.request_id] = _Reader(request, self.cache.table())
        reader.rewind(wanted)
        return reader

    def _shares(self, readers: list[_Reader]) -> list[tuple[_Reader, int]]:
        """Who reads how many tokens in the first pass, those with the fewest to read first, with blocks for all drafts too."""
        shares, budget, free = [], self.budget, self.cache.pool.num_free
        for reader in sorted(readers, key=lambda reader: reader.unread):
            count = min(reader.unread, budget)
            if not count:
                break
            more = reader.wanted - 1 if count == reader.unread else 0
            blocks = reader.table.blocks_needed(count + more)
            if blocks > free:
                free += len(reader.table.block_ids)
                self.forget(reader.request)
                continue
            shares.append((reader, count))
            budget, free = budget - count, free - blocks
        return shares

    def _write(self, shares: list[tuple[_Reader, int]], choice_of: ChoiceOf | None) -> None:
        """One pass over what is unread, then one over each text's newest draft while any text wants more."""
        new = [reader.request.token_ids[reader.table.length :][:count] for reader, count in shares]
        logits = self._pass([reader for reader, _ in shares], new)
        # The longest come last, and the budget runs out on the last one, so those read to their end are the first rows.
        writers = [reader for reader, _ in shares if not reader.unread]
        logits = logits[: len(writers)]
        while writers:
            for writer, token in zip(writers, self._choose(logits, writers, choice_of), strict=True):
                writer.drafts.append(token)
            writers = [writer for writer in writers if len(writer.drafts) < writer.wanted]
            if writers:
                logits = self._pass(writers, [writer.drafts[-1:] for writer in writers])

    def _pass(self, readers: list[_Reader], new: list[list[int]]) -> Tensor:
        """-> logits (B, V) behind each text's new tokens."""
        batch = self.cache.extend([reader.table for reader in readers], [len(tokens) for tokens in new])
        packed = torch.tensor([token for tokens in new for token in tokens], device=self.device)
        return self._loop.step(packed, batch)

    @staticmethod
    def _choose(logits: Tensor, writers: list[_Reader], choice_of: ChoiceOf | None) -> list[int]:
        if choice_of is None:
            return logits.argmax(dim=-1).tolist()
        # Broken scores make broken guesses, which the target refuses; they are no reason to stop.
        return choose_tokens(logits.nan_to_num(), [choice_of(w.request, w.drafts) for w in writers])

    def __repr__(self) -> str:
        return f"DraftModelProposer(k={self.k}, {len(self._readers)} texts, {self.cache.pool!r})"


def useful_drafts(request: Request) -> int:
    """How many drafts can be kept at most: the target writes one token itself, and a text ends at its max_tokens."""
    return 0 if request.is_finished else request.max_tokens - request.num_output_tokens - 1


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
    elif callable(getattr(speculative, "propose", None)) and callable(getattr(speculative, "forget", None)):
        proposer = speculative
    else:
        rule = "speculative must be 'ngram', 'draft' or a proposer"
        raise InvalidType(rule_numbers_remedy(rule, f"{speculative!r:.60}", "use NgramProposer(4)"))
    if proposer.vocab_size not in (None, model.config.vocab_size):
        rule = f"a draft must share the model's vocabulary of {model.config.vocab_size} tokens"
        raise InvalidValue(rule_numbers_remedy(rule, f"one of {proposer.vocab_size}", "use speculative='ngram'"))
    return proposer
