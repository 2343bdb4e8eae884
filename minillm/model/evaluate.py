"""How well a model predicts text it has not seen, in bits per byte of that text.

Bits per byte compares models with different tokenizers, and with file compressors: a model that needs 1.2 bits for a byte
could, with an arithmetic coder behind it, shrink the text to 15 % of its size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer

SCALES = tuple(round(0.70 + 0.02 * i, 2) for i in range(21))  # 0.70 to 1.10


@torch.no_grad()
def best_logit_scale(model: Decoder, tokenizer: Tokenizer, texts: list[str], *, context: int) -> float:
    """The number of `SCALES` by which all logits should be multiplied to predict these texts best.

    A model that has read its training text several times is too sure of itself elsewhere; one number mends most of that
    (Guo et al., "On Calibration of Modern Neural Networks", 2017). It changes no ranking, so no greedy text.
    """
    nats = dict.fromkeys(SCALES, 0.0)
    for text in texts:
        stream = torch.tensor([tokenizer.eos_token_id, *tokenizer.encode(text)])
        for window in stream.split(context):
            if len(window) < 2:
                continue
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(window[None, :-1])[0].float()
            for scale in SCALES:
                nats[scale] += F.cross_entropy(scale * logits, window[1:], reduction="sum").item()
    return min(SCALES, key=nats.__getitem__)


@torch.no_grad()
def bits_per_byte(model: Decoder, tokenizer: Tokenizer, texts: list[str], *, context: int, stride: int) -> float:
    """Loss in bits per byte: windows of `context` tokens, `stride` apart, each scored on the tokens it adds.

    Every text starts from an end token and is scored whole; its own end token counts in the bits but not in the bytes.
    Matrices are multiplied in bfloat16, on the CPU. Raises InvalidValue for a stride that would leave tokens out.
    """
    if not 1 <= stride <= context:
        raise InvalidValue(
            rule_numbers_remedy(f"stride must lie in 1 … context, {context}", str(stride), "use half of it")
        )
    eos = tokenizer.eos_token_id
    nats = 0.0
    for text in texts:
        stream = torch.tensor([eos, *tokenizer.encode(text), eos])
        done = 0  # tokens scored, the first end token not among them
        for start in range(0, len(stream) - 1, stride):
            window = stream[start : start + context + 1]
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(window[None, :-1])[0].float()
            nats += F.cross_entropy(logits[done - start :], window[1:][done - start :], reduction="sum").item()
            done = start + len(window) - 1
            if done == len(stream) - 1:
                break
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)
