"""Paged caches to ask about: texts scattered over a pool in no order, and everything that is not theirs poisoned."""

from dataclasses import dataclass, field, fields, replace
from itertools import accumulate, pairwise

import torch

# What entries of the table hold that no token needs: a number no pool reaches, or the id of an unused block if None.
PADDING = 2**31 - 1


@dataclass
class Case:
    """One call of paged attention, and the texts it is about: `k` and `v` hold each text's (S, G, D) in one piece."""

    q: torch.Tensor
    k_cache: torch.Tensor
    v_cache: torch.Tensor
    block_table: torch.Tensor
    seq_lens: torch.Tensor
    query_start_loc: torch.Tensor
    max_query_len: int
    k: list = field(default_factory=list)
    v: list = field(default_factory=list)

    @property
    def call(self):
        """The positional arguments."""
        return tuple(getattr(self, f.name) for f in fields(self)[:7])

    @property
    def rows(self):
        return [slice(start, end) for start, end in pairwise(self.query_start_loc.tolist())]

    @property
    def texts(self):
        """(L, S) of each text."""
        return [(rows.stop - rows.start, S) for rows, S in zip(self.rows, self.seq_lens.tolist(), strict=True)]

    def but(self, **changes):
        return replace(self, **changes)

    def mapped(self, change, *names):
        """The case with a function applied to the texts' keys, values or both ("k", "v"), in the cache and beside it."""
        changes = {}
        for name in names:
            cache = getattr(self, f"{name}_cache")
            changes[f"{name}_cache"] = torch.where(cache.isnan(), cache, change(cache))
            changes[name] = [change(x) for x in getattr(self, name)]
        return replace(self, **changes)


def make_case(texts, P=16, H=2, G=1, D=32, dtype=torch.float32, seed=0, spare=3, device="cpu"):
    """texts of (L, S) -> a Case. Blocks are dealt out in random order; unused blocks and slots hold NaN, unused entries PADDING.

    What the texts hold depends on their lengths and the seed, and not on P.
    """
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    counts = [-(-S // P) for _, S in texts]
    num_blocks = sum(counts) + spare
    order = torch.randperm(num_blocks, generator=torch.Generator().manual_seed(seed)).int()
    padding = order[-1] if PADDING is None else PADDING
    table = torch.full((len(texts), max(counts, default=0) + 2), padding, dtype=torch.int32)
    k_cache = torch.full((num_blocks, P, G, D), torch.nan, dtype=dtype)
    v_cache = k_cache.clone()
    keys, values, taken = [], [], 0
    for b, (_, S) in enumerate(texts):
        table[b, : counts[b]] = order[taken : taken + counts[b]]
        taken += counts[b]
        slots = slots_of(table[b], S, P)
        keys.append(random(S, G, D))
        values.append(random(S, G, D))
        k_cache.view(-1, G, D)[slots], v_cache.view(-1, G, D)[slots] = keys[-1], values[-1]
    lengths = [L for L, _ in texts]
    starts = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    seq_lens = torch.tensor([S for _, S in texts], dtype=torch.int32)
    case = Case(random(sum(lengths), H, D), k_cache, v_cache, table, seq_lens, starts, max(lengths, default=0))
    on_device = {f.name: getattr(case, f.name).to(device) for f in fields(Case)[:6]}
    return replace(case, **on_device, k=[x.to(device) for x in keys], v=[x.to(device) for x in values])


def slots_of(block_ids, length, P):
    """A text's block ids -> the slot of each of its tokens: block · P + offset."""
    positions = torch.arange(length)
    return block_ids[positions // P].long() * P + positions % P


def quantize(case, kind):
    """The case with a cache of int8 or float8_e4m3fn, and its scales by name; what nobody wrote holds NaN scales.

    `k` and `v` become what the cache now holds, so that other forms can be asked about the same numbers.
    """
    top = 127.0 if kind == torch.int8 else 448.0
    changes, scales = {}, {}
    for name in ("k", "v"):
        cache = getattr(case, f"{name}_cache").float()
        scale = cache.abs().amax(-1) / top
        numbers = (cache / scale[..., None]).nan_to_num(nan=100.0)
        changes[f"{name}_cache"] = numbers.round().to(kind) if kind == torch.int8 else numbers.to(kind)
        scales[f"{name}_scale"] = scale
        kept = changes[f"{name}_cache"].float() * scale[..., None]
        P = cache.shape[1]
        texts = enumerate(getattr(case, name))
        changes[name] = [
            kept.flatten(0, 1)[slots_of(case.block_table[b].cpu(), len(x), P).to(kept.device)].to(x.dtype)
            for b, x in texts
        ]
    return case.but(**changes), scales
