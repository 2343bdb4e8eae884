"""The weights a run begins with: random ones, and, where a recipe asks for it, a circuit that can copy.

Source code repeats itself: a name used once is used again. A model copies it with two heads in a row (Olsson et al.,
"In-context Learning and Induction Heads", 2022): one tells every token what stood before it, the next looks for places where
what stood before is what stands here, and writes down what came there. Training finds that circuit by chance, and a small
model that has learned common words by then may never; so it is wired in, and training only has to refine it.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from minillm.model.decoder import Decoder, DecoderLayer
from minillm.model.layers import Attention, rotary_frequencies

EMBEDDING = 0.1  # of a model that copies: large enough that tokens stay distinct while their frequencies are learned


def initialise(model: Decoder, seed: int) -> None:
    """Fill the weights: variance-preserving matrices, small embeddings, and nothing yet on the residual path."""
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            continue
        silent = name.endswith(("o_proj.weight", "down_proj.weight"))
        std = 0.0 if silent else 0.02 if "embed" in name else weight.shape[1] ** -0.5
        nn.init.normal_(weight, std=std, generator=random)


@torch.no_grad()
def wire_copying(model: Decoder, seed: int) -> None:
    """Turn initialised weights into ones that can copy: layer 0 looks back one and two tokens, layer 1 finds and repeats.

    Both do so in their first group of query heads; the other heads stay random. It takes two layers and two heads a group.
    """
    random = torch.Generator().manual_seed(seed)
    width, head_dim = model.config.hidden_size, model.config.head_dim
    speeds = rotary_frequencies(head_dim, model.config.rope_theta)
    model.embed_tokens.weight.mul_(EMBEDDING / model.embed_tokens.weight.std())
    # Half of every token's energy is one constant channel: a head that looks by position alone needs something to hold.
    # In the logits it adds the same to all, or, once trained, each token's frequency.
    model.embed_tokens.weight[:, 0] = EMBEDDING * math.sqrt(width)
    model.norm.weight.fill_(0.02 / EMBEDDING)
    here, before, two_before, found = (_frame(head_dim, width, random) for _ in range(4))
    first, second, *_ = cast("list[DecoderLayer]", list(model.layers))
    _look_back(first.attention, speeds, here, [before, two_before])
    _find_and_repeat(second.attention, speeds, here, before, found)


def _frame(rows: int, width: int, random: torch.Generator) -> Tensor:
    """(rows, width): directions at right angles to each other and to the constant channel, by chance nearly so to others."""
    frame = torch.linalg.qr(torch.randn(width, rows, generator=random))[0].T.contiguous()
    frame[:, 0] = 0
    return frame


def _by_head(attention: Attention) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Views of the weights: query (H, D, C), key (G, D, C), value (G, D, C), output (C, H, D)."""
    H, G, _ = attention.heads
    q, k, v = attention.qkv_proj.weight.unflatten(0, (H + 2 * G, -1)).split((H, G, G))
    return q, k, v, attention.o_proj.weight.unflatten(1, (H, -1))


def _look_back(attention: Attention, speeds: Tensor, here: Tensor, writes: list[Tensor]) -> None:
    """Head i attends to the token i + 1 back, reads its `here` directions (D, C) and writes them along `writes[i]` (D, C).

    A key is the same for every token, and a query is that key turned back by the distance: with rotary positions their
    product is largest exactly there. Only the fastest pairs tell neighbours apart.
    """
    q, k, v, o = _by_head(attention)
    fast = (speeds > 0.25).float()
    push = fast * 12 / (fast.sum() * here.shape[1] / 2).sqrt()
    k[0] *= 0.1
    k[0, :, 0] = torch.cat((push, 0 * push))
    v[0] = here
    for head, write in enumerate(writes):
        angle = (head + 1) * speeds
        q[head] *= 0.1
        q[head, :, 0] = torch.cat((push * angle.cos(), -push * angle.sin()))
        o[:, head] = write.T * EMBEDDING * math.sqrt(write.shape[1] / write.shape[0])


def _find_and_repeat(attention: Attention, speeds: Tensor, here: Tensor, before: Tensor, found: Tensor) -> None:
    """All heads of the first group attend where `before` holds what is `here` now, and write the token found there.

    Matching uses only the slow pairs, which a thousand tokens hardly turn.
    """
    q, k, v, o = _by_head(attention)
    sharing = len(q) // len(k)
    slow = (speeds < 0.003).repeat(2)
    count = int(slow.sum())
    k[0] *= 0.1
    k[0, slow] += 3 * before[:count]
    v[0] = found
    for head in range(sharing):
        q[head] *= 0.1
        q[head, slow] += 3 * here[:count]
        o[:, head] = found.T * 10 * EMBEDDING * math.sqrt(found.shape[1] / found.shape[0]) / sharing
