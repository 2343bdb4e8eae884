"""The scaffolding of a block-wise attention in torch: who owns which rows, and how options become arrays.

What is left to write is the walk: `walk(work)` takes one block of queries of one head past all keys in tiles of BLOCK and
returns its output and log-sum-exp. The wrong answers in `tests/wrong_answers/kernels` differ only there, and each is a
whole walk, so that a fault stands where it would in a kernel.
"""

import math
from dataclasses import dataclass

import torch

BLOCK = 32


@dataclass
class Work:
    """One program's share: q (rows, D) and k, v (S, D) in the input's dtype, `positions` (rows,) among the keys.

    `num_queries` is the length L of the whole sequence of queries, of which this is one block.
    """

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    positions: torch.Tensor
    num_queries: int
    causal: bool
    window: int | None
    softcap: float
    sink: torch.Tensor | None
    scale: float

    @property
    def starts(self):
        """Where each tile of keys begins."""
        return range(0, self.k.shape[0], BLOCK)

    def tile(self, x, start):
        """Rows start … start + BLOCK of x (S, D) in float32, zero past the end: (BLOCK, D)."""
        rows = x[start : start + BLOCK].float()
        return torch.cat([rows, rows.new_zeros(BLOCK - len(rows), x.shape[1])])

    def scores(self, start):
        """Scaled and capped, not masked: (rows, BLOCK)."""
        s = self.q.float() @ self.tile(self.k, start).T * self.scale
        return self.softcap * torch.tanh(s / self.softcap) if self.softcap else s

    def offsets(self, start):
        """Which key each column of a tile is: (1, BLOCK)."""
        return torch.arange(start, start + BLOCK)[None]

    def visible(self, start):
        """Which keys of a tile each row may see: bool (rows, BLOCK)."""
        keys, at = self.offsets(start), self.positions[:, None]
        seen = (keys < self.k.shape[0]).expand(len(at), -1)
        if self.causal:
            seen = seen & (keys <= at)
        return seen if self.window is None else seen & (keys > at - self.window)

    def begin(self):
        """m (rows,), l (rows,) and acc (rows, D) before the first tile; a sink is a logit without a value."""
        rows = len(self.q)
        if self.sink is None:
            m, l = torch.full((rows,), -math.inf), torch.zeros(rows)
        else:
            m, l = self.sink.float().expand(rows), torch.ones(rows)
        return m, l, torch.zeros(rows, self.q.shape[1])


def finite(m):
    """m, with 0 where a row has seen nothing: -inf - -inf would be NaN."""
    return torch.where(m == -math.inf, 0.0, m)


def finish(m, l, acc):
    """acc / l and m + log(l); a row that saw nothing gives 0 and its m."""
    l = torch.where(l == 0, 1.0, l)
    return acc / l[:, None], m + l.log()


def attention_of(walk, block_l=BLOCK):
    """Attention with the usual signature out of a walk."""

    def attention(q, k, v, *, causal=False, window=None, softcap=0.0, sinks=None, scale=None, return_lse=False):
        (B, L, H, D), (_, S, G, _) = q.shape, k.shape
        out, lse = torch.empty(q.shape, dtype=q.dtype), torch.empty(B, H, L)
        for b in range(B):
            for h in range(H):
                for first in range(0, L, block_l):
                    rows = slice(first, min(first + block_l, L))
                    kv = (b, slice(None), h // (H // G))
                    positions = torch.arange(rows.start, rows.stop) + S - L
                    sink = None if sinks is None else sinks[h]
                    step = D**-0.5 if scale is None else scale
                    work = Work(q[b, rows, h], k[kv], v[kv], positions, L, causal, window, softcap, sink, step)
                    block, block_lse = walk(work)
                    out[b, rows, h], lse[b, h, rows] = block.to(q.dtype), block_lse
        return (out, lse) if return_lse else out

    return attention
