"""Windows of text changed so that remembering does not help, and only looking back does.

A model that reads the same source five times comes to know its names by heart, and trusts what it knows over what stands on
the page. A drill is a phrase over and over in a made-up language; a renamed window is real code with every name replaced by
another, the same one throughout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.model.tokenizer import Tokenizer

PIECES_OF_NAMES = (r" [A-Za-z_]+", r"[A-Za-z_]+")  # a name's beginning, and its other parts


def drill(window: Tensor, vocab_size: int, random: torch.Generator) -> Tensor:
    """window (L,) -> (L,): its beginning over and over, every token replaced by another at random."""
    length = len(window)
    period = int(torch.randint(min(16, length // 4), length // 2, (1,), generator=random))
    other = torch.randperm(vocab_size, generator=random)
    return other[window[:period]].repeat(length // period + 1)[:length]


def rename(window: Tensor, kinds: Sequence[Tensor], vocab_size: int, random: torch.Generator) -> Tensor:
    """window (L,) -> (L,): each token of a kind (ids) replaced by one of the same kind, the same wherever it stands."""
    other = torch.arange(vocab_size)
    for ids in kinds:
        other[ids] = ids[torch.randperm(len(ids), generator=random)]
    return other[window]


def pieces_of_names(tokenizer: Tokenizer, stream: Tensor, *, keep: int = 200) -> list[Tensor]:
    """The ids of tokens that names are made of, by kind. The `keep` commonest tokens of the text, keywords among them, are none."""
    counts = torch.bincount(stream, minlength=tokenizer.vocab_size)
    common = set(counts.argsort(descending=True, stable=True)[:keep].tolist())
    texts = {i: tokenizer.token_text(i) for i in range(tokenizer.vocab_size) if i not in common}
    return [torch.tensor([i for i, text in texts.items() if re.fullmatch(kind, text)]) for kind in PIECES_OF_NAMES]
