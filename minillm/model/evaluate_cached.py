"""How well a model predicts held-out text when it must remember through a given cache: what a narrower cache costs.

Counting equal tokens says little: a model that hesitates between two words flips at a breath, and one that is sure of
itself hides a great deal of damage. Bits per byte weigh every doubt, so the difference of two caches is the cost of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.cache.contiguous import ContiguousCache
from minillm.cache.paged import PagedCache
from minillm.errors import InvalidValue
from minillm.measure.numbers import require_whole
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer


@torch.inference_mode()
def cached_bits_per_byte(
    model: Decoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    cache: ContiguousCache | PagedCache,
    *,
    context: int = 1024,
    chunk: int = 64,
) -> float:
    """Loss in bits per byte, each text read in windows of `context` tokens, `chunk` of them a pass through the cache.

    Every window starts anew, from an end token or from the window's own first token, which is not scored again. The cache
    must be empty, and is empty afterwards; one text's window must fit in it. All arithmetic is in the model's dtype. Raises
    InvalidValue for no texts, and what the decoder and the cache raise.
    """
    require_whole(context=context, chunk=chunk)
    if not texts:
        raise InvalidValue("bits per byte need at least one text; got none; pass some held-out text.")
    eos, nats = tokenizer.eos_token_id, 0.0
    for text in texts:
        stream = torch.tensor([eos, *tokenizer.encode(text), eos], device=model.device)
        for start in range(0, len(stream) - 1, context):
            window = stream[start : start + context + 1]
            for targets, logits in _read(model, window, cache, chunk):
                nats += F.cross_entropy(logits.float(), targets, reduction="sum").item()
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)


def _read(
    model: Decoder, window: Tensor, cache: ContiguousCache | PagedCache, chunk: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """A window of n + 1 tokens -> for each chunk of the first n, what came next (L,) and the scores it got (L, V)."""
    table = cache.table() if isinstance(cache, PagedCache) else None
    for ids, targets in zip(window[:-1].split(chunk), window[1:].split(chunk), strict=True):
        if table is not None and isinstance(cache, PagedCache):
            yield targets, model(ids, cache.extend([table], [len(ids)]))
        elif isinstance(cache, ContiguousCache):
            yield targets, model(ids[None], cache)[0]
    if table is not None:
        table.free()
    elif isinstance(cache, ContiguousCache):
        cache.reset()
