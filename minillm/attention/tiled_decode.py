"""Flash decoding in torch: the kernel's programs one after the other, in loops anybody can step through.

One program owns one KV head of one text and one run of its keys. The query heads that share the KV head are the rows of
its tile, so the run is read once for all of them. What the runs found is merged by their weights at the end.
`kernels/flash_decode.py` and `kernels/merge_splits.py` are the same in Triton: same names, same tiles, same bytes.

Text b, KV head g, run i, four lines:

    rows    q[b, h] of the H / G heads h that read KV head g       padded to the 16 that a dot takes
    run     ceil(tiles / num_splits) tiles of keys from run i's first, none at or after seq_lens[b]
    state   out_i, lse_i = attention of the rows to the run        0 and -inf where the run is empty
    merged  lse = log(sum(exp(lse_i))), out = sum(exp(lse_i - lse) * out_i)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minillm.attention.tiled import LN_2, LOG2_E, TileOptions, attend_tile, fold_scale
from minillm.attention.validate_decode import validate_decode
from minillm.measure.chip import load, on_chip, store
from minillm.measure.numbers import require_whole
from minillm.measure.splits import decode_rows, split_range
from minillm.measure.tiles import padded_width


def tiled_decode(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    seq_lens: Tensor,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: Tensor | None = None,
    scale: float | None = None,
    num_splits: int = 1,
    return_lse: bool = False,
    block_s: int = 64,
) -> Tensor | tuple[Tensor, Tensor]:
    """q (B, H, D), k and v (B, S, G, D), seq_lens (B,) int32 -> out (B, H, D), and lse (B, H) if `return_lse`.

    Options mean what they mean in `flash_decode`; `num_splits` runs of tiles of `block_s` keys, any of which give the same
    answer up to rounding. State is float32, or float64 for float64 input. Raises InvalidValue or InvalidType before any
    work. Source: Dao, Haziza, Massa and Sizov, "Flash-Decoding" (2023).
    """
    validate_decode(q, k, v, seq_lens, window, softcap, sinks, scale, num_splits, return_lse)
    require_whole(block_s=block_s, num_splits=num_splits)
    window = None if window is None else int(window)
    (B, H, D), G = q.shape, k.shape[2]
    block_h, row_tiles = decode_rows(H, G)
    state = torch.float64 if q.dtype == torch.float64 else torch.float32
    out = torch.empty(B, H, D, dtype=q.dtype, device=q.device)
    lse = torch.empty(B, H, dtype=state, device=q.device)
    outs, lses = out[None], lse[None]
    if num_splits > 1:
        outs = torch.empty(num_splits, B, H, D, dtype=state, device=q.device)
        lses = torch.empty(num_splits, B, H, dtype=state, device=q.device)
    q, scale = fold_scale(q, scale)
    options = TileOptions(False, window, softcap, scale, block_h, block_s, None)
    for b in range(0 if q.is_meta else B):
        for g in range(G):
            group = slice(g * (H // G), (g + 1) * (H // G))
            sink = None if sinks is None else sinks[group]
            for split in range(num_splits):
                for row_tile in range(row_tiles):
                    rows = slice(row_tile * block_h, (row_tile + 1) * block_h)
                    place = (split, num_splits)
                    with on_chip():  # one program of the kernel
                        attend_split(
                            q[b, group][rows], k[b, :, g], v[b, :, g], seq_lens[b : b + 1], outs[split, b, group][rows],
                            lses[split, b, group][rows], None if sink is None else sink[rows], place, options,
                        )  # fmt: skip
    if num_splits > 1 and not q.is_meta:
        merge_splits(outs, lses, out, lse)
    return (out, lse) if return_lse else out


def attend_split(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    seq_lens: Tensor,
    out: Tensor,
    lse: Tensor,
    sinks: Tensor | None,
    place: tuple[int, int],
    options: TileOptions,
) -> None:
    """One program: q, out (rows, D), k, v (S, D), seq_lens (1,), lse and sinks (rows,); `place` is (split, num_splits)."""
    (split, num_splits), (rows, D) = place, q.shape
    block_h, block_s, state = options.block_l, options.block_s, lse.dtype
    seq_len = int(load(seq_lens))
    block_d = padded_width(D)
    q_tile = load(q, shape=(block_h, block_d))  # (block_h, block_d)
    positions = torch.full((block_h,), seq_len - 1, device=q.device)  # every row stands at the last key

    acc = torch.zeros(block_h, block_d, dtype=state, device=q.device)
    m = torch.full((block_h,), -math.inf, dtype=state, device=q.device)
    l = torch.zeros(block_h, dtype=state, device=q.device)
    if sinks is not None and split == 0:  # a sink counts once: in the first run
        m[:rows] = load(sinks).to(state) * LOG2_E
        l[:rows] = 1.0

    tiles = split_range(seq_len, split, num_splits, block_s, window=options.window)
    for s_tile, masked in tiles.tiles(block_s):
        acc, l, m = attend_tile(acc, l, m, q_tile, k[:seq_len], v[:seq_len], s_tile, positions, masked, options)

    l_safe = torch.where(l == 0, 1.0, l)  # a run that saw nothing: 0 / 1, and lse = -inf + 0
    store(out, (acc / l_safe[:, None])[:rows, :D])
    store(lse, ((m + torch.log2(l_safe)) * LN_2)[:rows])


def merge_splits(outs: Tensor, lses: Tensor, out: Tensor, lse: Tensor) -> None:
    """outs (n, B, H, D) and lses (n, B, H) of n runs, into out (B, H, D) and lse (B, H); a run without keys is not read."""
    _, B, H = lses.shape
    for b in range(B):
        for h in range(H):
            with on_chip():  # one program of the kernel
                logs = load(lses[:, b, h])  # (n,)
                saw = logs > -math.inf
                parts = load(outs[:, b, h], mask=saw[:, None])  # (n, D)
                m = logs.amax()
                m_safe = torch.where(m == -math.inf, 0.0, m)  # -inf - -inf would be NaN
                p = torch.exp(logs - m_safe)
                l = p.sum()
                l_safe = torch.where(l == 0, 1.0, l)  # nothing seen by any run: 0 / 1, and lse = -inf + 0
                store(out[b, h], (p[:, None] * parts).sum(0) / l_safe)
                store(lse[b, h], m + torch.log(l_safe))
