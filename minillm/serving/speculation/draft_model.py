"""A small model reads along and guesses what the large one will write.

It keeps its own memory of every text. What it read of guesses that were not written is cut off again, what was written
without it is read in the next pass, and all texts are read and guessed for together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minillm.cache.block_table import BlockTable
from minillm.decoding.penalties import has_penalties
from minillm.decoding.sampling import Choice, choose_tokens, next_token_probabilities
from minillm.decoding.speculative import likely_choices
from minillm.decoding.support import Rule
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole
from minillm.model.decoder import Decoder
from minillm.serving.request import Request
from minillm.serving.runner import PagedLoop
from minillm.serving.speculation.proposer import ChoiceOf, useful_drafts


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
    a text with more left to read gets no drafts until that is done. A text for which there are no blocks gets no drafts, and
    gives back those it had. Given `choice_of`, a guess is chosen as the target will choose, by its parameters and its noise.
    `blur` says how far the two models may be apart, see `likely_choices`; at 0 a guess is what the draft would draw itself,
    which is right where they all but agree. Raises InvalidType or InvalidValue when built.
    """

    def __init__(
        self,
        model: Decoder,
        num_blocks: int,
        k: int = 4,
        *,
        block_size: int = 16,
        max_num_batched_tokens: int = 512,
        blur: float = 0.15,
    ):
        if not isinstance(model, Decoder):
            raise InvalidType(rule_numbers_remedy("a draft model is a Decoder", f"{model!r:.60}", "use ml.load_model"))
        require_whole(k=k, max_num_batched_tokens=max_num_batched_tokens)
        if isinstance(blur, bool) or not isinstance(blur, int | float) or not 0 <= blur < math.inf:
            raise InvalidValue(rule_numbers_remedy("blur must be a number from 0 up", repr(blur), "leave it out"))
        self.k, self.budget, self.blur = k, max_num_batched_tokens, blur
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

    def _choose(self, logits: Tensor, writers: list[_Reader], choice_of: ChoiceOf | None) -> list[int]:
        if choice_of is None:
            return logits.argmax(dim=-1).tolist()
        # Broken scores make broken guesses, which the target refuses; they are no reason to stop.
        return guesses(logits.nan_to_num(), [choice_of(w.request, w.drafts) for w in writers], self.blur)

    def __repr__(self) -> str:
        return f"DraftModelProposer(k={self.k}, {len(self._readers)} texts, {self.cache.pool!r})"


def guesses(logits: Tensor, choices: Sequence[Choice], blur: float) -> list[int]:
    """A draft's logits (B, V), how the target will choose behind each -> B tokens.

    Where something is banned or penalised, and where only the best counts, they are chosen as the target chooses.
    """
    rows_by_rule: dict[Rule | None, list[int]] = {}
    for row, choice in enumerate(choices):
        rule = Rule.of(choice.params)
        is_plain = not (rule.is_greedy or choice.banned or has_penalties(choice.params))
        rows_by_rule.setdefault(rule if is_plain and blur else None, []).append(row)
    tokens: dict[int, int] = {}
    for asked, rows in rows_by_rule.items():
        if asked is None:
            chosen = choose_tokens(logits[rows], [choices[row] for row in rows])
        else:
            odds = next_token_probabilities(logits[rows], asked.temperature, asked.top_k, asked.top_p, asked.min_p)
            chosen = likely_choices(odds, [choices[row].noise for row in rows], blur)
        tokens |= zip(rows, chosen, strict=True)
    return [tokens[row] for row in range(len(choices))]
