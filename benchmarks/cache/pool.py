"""How fast the cache manager is by itself: blocks lent, shared and taken back, and prefixes looked up. No tensor is touched.

The pool is timed on the calls of a server's day, drawn beforehand, so that nothing but the pool is timed: prompts arrive,
texts grow by a block, a beginning is shared, texts end. A look-up is timed for a prompt of 8,192 tokens that is known whole,
and for one that is known nowhere.
"""

from __future__ import annotations

import argparse
from random import Random

from minillm.cache import BlockPool, PrefixCache, RadixCache
from minillm.measure import Measurement, Timing, time_call

BLOCK_SIZE = 16
NUM_BLOCKS = 4096
PROMPT = 8192
# What the workbook promises of one core.
OPERATIONS_A_SECOND = 500_000
LOOKUP_SECONDS = 2e-3


def pool_operations(*, quick: bool = False) -> list[Measurement]:
    """Seconds a call of allocate, fork or free: one block at a time, and on the calls of a server's day."""
    seconds = 0.1 if quick else 0.5
    days = {"one block a call": _one_block(5_000), "a server's day": _day(5_000)}
    return [
        _row(
            "pool_operations", "BlockPool", time_call(lambda day=day: _replay(day), min_seconds=seconds), len(day), name
        )
        for name, day in days.items()
    ]


def prefix_lookup(*, quick: bool = False) -> list[Measurement]:
    """Seconds a match of 8,192 tokens, by either prefix cache, known and unknown; and an insert of what is known."""
    seconds, draw, rows = (0.05 if quick else 0.3), Random(0), []
    text, other = ([draw.randrange(128_000) for _ in range(PROMPT)] for _ in range(2))
    for make in (PrefixCache, RadixCache):
        pool = BlockPool(NUM_BLOCKS, BLOCK_SIZE)
        cache, blocks = make(pool), pool.allocate(PROMPT // BLOCK_SIZE)
        cache.insert(text, blocks)
        assert cache.match(text) == blocks[:-1] and cache.match(other) == []
        calls = {
            "known": lambda cache=cache: cache.match(text),
            "unknown": lambda cache=cache: cache.match(other),
            "inserted again": lambda cache=cache, blocks=blocks: cache.insert(text, blocks),
        }
        for name, call in calls.items():
            rows.append(_row("prefix_lookup", make.__name__, time_call(call, min_seconds=seconds), 1, name))
    return rows


def in_words(row: Measurement) -> str:
    """One line for a row, beside what is promised where something is."""
    name = f"{row.operator}, {row.backend}, {row.options['workload']}"
    if row.operator == "pool_operations":
        return f"{name}: {1 / row.p50:,.0f} calls a second (promised: {OPERATIONS_A_SECOND:,})"
    return f"{name}: {1e3 * row.p50:.3f} ms (promised: less than {1e3 * LOOKUP_SECONDS:.0f} ms)"


def _one_block(pairs: int) -> list[tuple[str, list[int] | int]]:
    """Blocks taken one by one by 64 texts, the oldest given back."""
    pool, held, day = BlockPool(NUM_BLOCKS, BLOCK_SIZE), [], []
    for _ in range(pairs):
        day.append(("allocate", 1))
        held += pool.allocate(1)
        if len(held) > 64:
            day.append(("free", held[:1]))
            pool.free(held[:1])
            del held[0]
    return [*day, ("free", held)]


def _day(calls: int) -> list[tuple[str, list[int] | int]]:
    """What 64 texts ask of a pool: prompts of up to 32 blocks, growth by one, a beginning shared, an end."""
    pool, draw, texts, day = BlockPool(NUM_BLOCKS, BLOCK_SIZE), Random(0), [], []
    while len(day) < calls:
        what = draw.random()
        if not texts or (what < 0.05 and len(texts) < 64):
            day.append(("allocate", draw.randint(1, 32)))
            texts.append(pool.allocate(day[-1][1]))
        elif what < 0.9:
            day.append(("allocate", 1))
            draw.choice(texts).extend(pool.allocate(1))
        elif what < 0.95 and len(texts) < 64:
            text = draw.choice(texts)
            day.append(("fork", text[: draw.randint(1, len(text))]))
            texts.append(pool.fork(day[-1][1]))
        else:
            day.append(("free", texts.pop(draw.randrange(len(texts)))))
            pool.free(day[-1][1])
    return [*day, *(("free", text) for text in texts)]


def _replay(day: list[tuple[str, list[int] | int]]) -> None:
    """The same calls on a new pool; it lends the same blocks, because it starts alike."""
    pool = BlockPool(NUM_BLOCKS, BLOCK_SIZE)
    calls = {"allocate": pool.allocate, "fork": pool.fork, "free": pool.free}
    for name, argument in day:
        calls[name](argument)
    assert pool.num_free == NUM_BLOCKS


def _row(operator: str, backend: str, timing: Timing, calls: int, workload: str) -> Measurement:
    shape = {"P": BLOCK_SIZE, "num_blocks": NUM_BLOCKS} | ({"S": PROMPT} if operator == "prefix_lookup" else {})
    return Measurement(
        operator=operator, backend=backend, dtype="int64", shape=shape,
        p20=timing.p20 / calls, p50=timing.p50 / calls, p80=timing.p80 / calls, runs=timing.runs,
        options={"workload": workload, "calls": calls},
    )  # fmt: skip


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look")
    quick = parser.parse_args().quick
    print("\n".join(in_words(row) for row in [*pool_operations(quick=quick), *prefix_lookup(quick=quick)]))


if __name__ == "__main__":
    main()
