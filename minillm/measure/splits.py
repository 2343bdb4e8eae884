"""Into how many runs should the keys of one text be cut, so that a GPU is busy with them?

One new token has one row of queries a head: too few programs for a hundred multiprocessors. Cutting the keys into runs
gives each run a program of its own, and merging their results costs little. This file says which keys each run has, how
busy any number of runs keeps a GPU, and which number to take; all of it on plain integers, so that a page can plot it.
"""

from __future__ import annotations

from functools import cache

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_heads, require_whole
from minillm.measure.tiles import KeyRange

MOST_SPLITS = 128
# With so many of the processors busy, or so few tiles to share out, cutting gains less than merging costs.
BUSY_ENOUGH = 0.8
TOO_FEW_TILES = 4
# The fewest runs that come this near to the best: each more is one more partial result to write and to read.
NEAR_ENOUGH = 0.85

# The lowest and the tallest tile of query heads; a larger group takes several tiles, and reads its keys once for each.
FEWEST_ROWS = 16
MOST_ROWS = 64


def decode_rows(num_heads: int, num_kv_heads: int) -> tuple[int, int]:
    """H, G -> (rows of a tile of query heads, tiles a KV head's group takes): H / G rows, padded to a power of two from 16.

    Raises InvalidType or InvalidValue for numbers that are not whole, or where G does not divide H.
    """
    require_heads(num_heads, num_kv_heads)
    group = num_heads // num_kv_heads
    rows = min(max(FEWEST_ROWS, 1 << (group - 1).bit_length()), MOST_ROWS)
    return rows, -(-group // rows)


def waves(programs: int, processors: int) -> int:
    """How many rounds it takes until all programs had their turn, one a processor at a time: ceil(programs / processors)."""
    require_whole(at_least=0, programs=programs)
    require_whole(processors=processors)
    return -(-programs // processors)


def efficiency(programs: int, processors: int, key_tiles: int, splits: int) -> float:
    """The share of the processors' time that is work, if each of `programs` walks over `key_tiles` tiles in `splits` runs.

    All programs · key_tiles steps, over the processors · waves · ceil(key_tiles / splits) that pass meanwhile. Two things
    cost: processors with nothing to do in the last wave, and runs with a tile fewer than the longest. From 0 to 1.
    """
    require_whole(programs=programs, processors=processors, key_tiles=key_tiles, splits=splits)
    rounds = waves(programs * splits, processors) * -(-key_tiles // splits)
    return programs * key_tiles / (processors * rounds)


def num_splits(programs: int, processors: int, key_tiles: int, *, most: int = MOST_SPLITS) -> int:
    """Programs without splitting, processors, tiles of keys -> how many runs to cut each program's keys into, from 1.

    1 where the programs alone keep `BUSY_ENOUGH` of the processors busy, or there are hardly any tiles; else the fewest
    runs whose `efficiency` comes within `NEAR_ENOUGH` of the best that any number reaches, up to `most`, the tiles and
    the processors. Programs here are a text and one of its KV heads (B·G). Raises InvalidType or InvalidValue for numbers that are not whole or below 1,
    except that no programs and no tiles are 1 run. Source: the wave-efficiency rule of FlashAttention 3's heuristics,
    with the rounding to whole tiles added.
    """
    require_whole(at_least=0, programs=programs, key_tiles=key_tiles)
    require_whole(processors=processors, most=most)
    if programs >= BUSY_ENOUGH * processors or key_tiles <= TOO_FEW_TILES or not programs:
        return 1
    return _fewest(programs, processors, key_tiles, min(most, processors, key_tiles))


@cache
def _fewest(programs: int, processors: int, key_tiles: int, most: int) -> int:
    """The search, once for each shape: decoding asks again at every token."""
    shares = [efficiency(programs, processors, key_tiles, splits) for splits in range(1, most + 1)]
    return next(splits for splits, share in enumerate(shares, 1) if share >= NEAR_ENOUGH * max(shares))


def require_splits(num_splits: int) -> None:
    """Raise InvalidType or InvalidValue unless it is a whole number of runs, from 1 to `MOST_SPLITS`."""
    require_whole(num_splits=num_splits)
    if num_splits > MOST_SPLITS:
        rule, remedy = f"num_splits must be at most {MOST_SPLITS}", "leave it out, and the rule chooses"
        raise InvalidValue(rule_numbers_remedy(rule, str(num_splits), remedy))


def split_range(seq_len: int, split: int, num_splits: int, block_s: int, *, window: int | None = None) -> KeyRange:
    """Which of `seq_len` kept keys a run visits, in tiles of `block_s`: run `split` of `num_splits`.

    The query stands at the last key and sees all, or the last `window`. The tiles from the first one seen are dealt out
    in runs of ceil(tiles / num_splits); the last runs may get fewer, or none (`end <= start`). Only the tile in which the
    window begins and the one in which the keys end need a mask. Raises InvalidType or InvalidValue.
    """
    require_whole(at_least=0, seq_len=seq_len, split=split)
    require_whole(num_splits=num_splits, block_s=block_s)
    if split >= num_splits:
        raise InvalidValue(rule_numbers_remedy(f"split must be below {num_splits}", str(split), "count from 0"))
    first = 0 if window is None else max(seq_len - window, 0)
    start = first // block_s * block_s
    per_split = -(-tiles_seen(seq_len, block_s, window=window) // num_splits)
    start += split * per_split * block_s
    end = min(start + per_split * block_s, seq_len)
    full_end = max(end // block_s * block_s, start)
    full_start = min(max(-(-first // block_s) * block_s, start), full_end)
    return KeyRange(start, full_start, full_end, end)


def tiles_seen(seq_len: int, block_s: int, *, window: int | None = None) -> int:
    """Tiles of `block_s` keys that the last position of `seq_len` looks into: all, or those of the last `window` keys."""
    require_whole(at_least=0, seq_len=seq_len)
    require_whole(block_s=block_s)
    if window is not None:
        require_whole(window=window)
    first = 0 if window is None else max(seq_len - window, 0)
    return -(-seq_len // block_s) - first // block_s
