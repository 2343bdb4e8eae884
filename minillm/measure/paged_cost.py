"""What paged attention moves and multiplies: pencil arithmetic on the texts' lengths, exact to the byte.

Every tile of queries walks over its text's keys as in flash attention, once for all the heads that share a KV head. On
top come what finding things costs: a search for the text that owns the tile, and the block table's entries on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from minillm.errors import InvalidType, rule_numbers_remedy
from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_heads, require_positive, require_whole
from minillm.measure.tiles import KeyRange, TiledCost, key_range, padded_width

INDEX_BYTES = 4  # of a table's entry, a length, an offset; of a quantised number's scale, too
STATE_BYTES = 4  # of partial results and lse


def paged_rows(block_l: int, num_heads: int, num_kv_heads: int) -> tuple[int, int]:
    """Rows asked for, H, G -> (rows of a tile, tokens of a tile): the H / G heads of a token are rows side by side.

    A power of two that holds one token at least; what is left over when H / G does not divide it stays empty.
    """
    group = num_heads // num_kv_heads
    block_m = max(block_l, 1 << (group - 1).bit_length())
    return block_m, block_m // group


def cut_range(visited: KeyRange, split: int, num_splits: int, block_s: int) -> KeyRange:
    """Run `split` of `num_splits` of a range of keys: its tiles dealt out evenly, so that the last runs may get none."""
    tiles = -(-(visited.end - visited.start) // block_s)
    per_split = -(-tiles // num_splits)
    start = visited.start + split * per_split * block_s
    end = min(start + per_split * block_s, visited.end)
    full_start = min(max(visited.full_start, start), end)
    return KeyRange(start, full_start, min(max(visited.full_end, start), end), end)


def find_text(starts: Sequence[int], tile: int, block_q: int) -> tuple[int, int]:
    """(text, reads): the text b that owns a tile of `block_q` queries, and how many offsets the bisection looked at.

    Text b's tiles begin at starts[b] // block_q + b: a text cut at block_q never needs more than that leaves it.
    """
    low, high, reads = 0, len(starts) - 1, 0
    while low < high:
        middle = (low + high) // 2
        reads += 1
        if starts[middle] // block_q + middle <= tile:
            low = middle + 1
        else:
            high = middle
    return low - 1, reads


def paged_attention_cost(
    texts: Sequence[tuple[int, int]],
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    block_size: int,
    block_l: int,
    block_s: int,
    max_query_len: int | None = None,
    window: int | None = None,
    sinks: bool = False,
    num_splits: int = 1,
    quantized: bool = False,
    dtype_bytes: int = 2,
) -> TiledCost:
    """(L, S) of each text, H, G, D, P and the tile sizes -> cost of one call of paged attention, exact to the byte.

    Each tile of queries reads its keys and values once for all heads of a group, and the table once a tile where tiles
    fit into blocks, once a key where they do not. `max_query_len` 1, for texts of one query each, finds its text
    without a search. With `num_splits` above 1 the queries are read once a run, and the runs' results, float32, written,
    read and merged. A quantised cache has one byte an element and 4 a token and head. FLOPs are of full, padded tiles.
    Raises InvalidType or InvalidValue.
    """
    require_heads(num_heads, num_kv_heads)
    require_positive(dtype_bytes=dtype_bytes)
    require_whole(head_dim=head_dim, block_size=block_size, block_l=block_l, block_s=block_s, num_splits=num_splits)
    require_whole(window=1 if window is None else window)
    _require_texts(texts)
    (block_m, block_q), group = paged_rows(block_l, num_heads, num_kv_heads), num_heads // num_kv_heads
    starts = [0, *accumulate(L for L, _ in texts)]
    longest = max((L for L, _ in texts), default=0) if max_query_len is None else max_query_len
    if longest == 1 and starts[-1] == len(texts):
        block_q, found = 1, INDEX_BYTES * len(texts)
    else:
        found = _search_bytes(starts, block_q)
    key_bytes = 2 * (head_dim + STATE_BYTES if quantized else head_dim * dtype_bytes)
    indirect = block_size % block_s != 0
    loaded, steps = found * num_splits, 0
    for L, S in texts:
        for q_tile in range(-(-L // block_q)):
            rows = min(block_q, L - q_tile * block_q) * group
            loaded += rows * (head_dim * dtype_bytes * num_splits + STATE_BYTES * sinks)
            visited = key_range(q_tile, L, S, block_q, block_s, causal=True, window=window)
            tiles = visited.tiles(block_s)
            keys = sum(min(block_s, visited.end - start) for start, _ in tiles)
            loaded += keys * key_bytes + INDEX_BYTES * (keys if indirect else len(tiles))
            steps += len(tiles)
    merged = _merge_bytes(texts, block_q, block_s, window, sinks, num_splits, head_dim, dtype_bytes)
    rows = starts[-1] * num_heads
    stored = rows * num_splits * (head_dim * (STATE_BYTES if num_splits > 1 else dtype_bytes) + STATE_BYTES)
    flops = num_kv_heads * steps * 4 * block_m * block_s * padded_width(head_dim)
    moved = Bytes(num_kv_heads * loaded + num_heads * merged.loaded, stored + num_heads * merged.stored)
    return TiledCost(moved, flops, num_kv_heads * steps)


def paged_tile_steps(
    texts: Sequence[tuple[int, int]],
    num_heads: int,
    num_kv_heads: int,
    block_l: int,
    block_s: int,
    num_splits: int,
    window: int | None,
) -> int:
    """(L, S) of each text -> steps over tiles that all programs take together; an idle program counts as one.

    It is the measure of what interpreting costs.
    """
    _, block_q = paged_rows(block_l, num_heads, num_kv_heads)
    ranges = (visited for L, S in texts for visited in _ranges(L, S, block_q, block_s, window))
    return num_kv_heads * sum(max(num_splits, len(visited.tiles(block_s))) for visited in ranges)


def _require_texts(texts: Sequence[tuple[int, int]]) -> None:
    """Raise InvalidType or InvalidValue unless each is (L, S): whole numbers, 0 <= L <= S."""
    if not isinstance(texts, Sequence) or not all(isinstance(text, Sequence) and len(text) == 2 for text in texts):
        rule = "texts must be a list of (L, S), queries and keys of each"
        raise InvalidType(rule_numbers_remedy(rule, f"{texts!r:.40}", "write [(1, 8192)] * 32 to decode 32 texts"))
    for L, S in texts:
        require_whole(at_least=0, L=L)
        require_whole(at_least=L, S=S)


def _ranges(L: int, S: int, block_q: int, block_s: int, window: int | None) -> Iterator[KeyRange]:
    for q_tile in range(-(-L // block_q)):
        yield key_range(q_tile, L, S, block_q, block_s, causal=True, window=window)


def _search_bytes(starts: Sequence[int], block_q: int) -> int:
    """What all programs of one KV head read to find their text, its two offsets and, if there is work, its length."""
    total = 0
    for tile in range(starts[-1] // block_q + len(starts) - 1):
        b, reads = find_text(starts, tile, block_q)
        tiles = -(-(starts[b + 1] - starts[b]) // block_q)
        busy = tile - (starts[b] // block_q + b) < tiles
        total += reads + 2 + busy
    return total * INDEX_BYTES


def _merge_bytes(
    texts: Sequence[tuple[int, int]],
    block_q: int,
    block_s: int,
    window: int | None,
    sinks: bool,
    num_splits: int,
    head_dim: int,
    dtype_bytes: int,
) -> Bytes:
    """What merging one head's runs moves: every log, the results of the runs in which a row saw something, the outcome."""
    if num_splits == 1:
        return Bytes(0, 0)
    seen = 0
    for L, S in texts:
        for q_tile, visited in enumerate(_ranges(L, S, block_q, block_s, window)):
            runs = [cut_range(visited, split, num_splits, block_s) for split in range(num_splits)]
            for row in range(q_tile * block_q, min((q_tile + 1) * block_q, L)):
                position = row + S - L
                first = 0 if window is None else max(position - window + 1, 0)
                saw = [max(run.start, first) < min(run.end, position + 1) for run in runs]
                seen += sum(saw) + (sinks and not saw[0])
    rows = sum(L for L, _ in texts)
    loaded = rows * num_splits * STATE_BYTES + seen * head_dim * STATE_BYTES
    return Bytes(loaded, rows * (head_dim * dtype_bytes + STATE_BYTES))
