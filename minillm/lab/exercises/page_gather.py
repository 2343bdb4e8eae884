"""The exercise 10.gather: fetch the texts of a batch out of a pool of pages, their own slots and nothing else.

The pools here are hostile, as a real one is: every slot that no text owns holds NaN, and a table's entries after a text's
last page are leftovers that point anywhere. A row that is fetched and thrown away afterwards still costs its bytes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

G, D = 2, 8
FAR = 10**6  # a leftover in a table: no pool has that many pages


def gather_by_hand(cache: Tensor, block_table: Tensor, seq_lens: Tensor) -> Tensor:
    """The definition, slot by slot."""
    P = cache.shape[1]
    rows = [
        cache[int(block_table[b, i // P]), i % P] for b, length in enumerate(seq_lens.tolist()) for i in range(length)
    ]
    return torch.stack(rows) if rows else cache.new_empty(0, *cache.shape[2:])


def paged_texts(
    name: str, lengths: list[int], block_size: int, *, num_blocks: int = 12, max_blocks: int | None = None,
    leftover: int = FAR, shared: int = 0, width: int = D, dtype: torch.dtype = torch.float32, gaps: bool = False,
) -> Given:  # fmt: skip
    """A pool (num_blocks, P, G, width) with NaN wherever no text is, its table and lengths; pages are dealt at random.

    The first `shared` pages of every text are the first text's. With `gaps` the pool is a view that skips numbers.
    """
    pages = [-(-length // block_size) for length in lengths]
    deck = torch.randperm(num_blocks, generator=inputs.generator(name + " deck")).tolist()
    table = torch.full((len(lengths), max_blocks or max(pages, default=0)), leftover, dtype=torch.int32)
    full = inputs.normal(name, num_blocks, block_size, G, 2 * width, dtype=dtype)[..., ::2]
    cache = full if gaps else full.contiguous()
    owned = torch.zeros(num_blocks, block_size, dtype=torch.bool)
    for b, (length, count) in enumerate(zip(lengths, pages, strict=True)):
        ids = [int(table[0, i]) if b and i < shared else deck.pop() for i in range(count)]
        table[b, :count] = torch.tensor(ids, dtype=torch.int32)
        for i in range(length):
            owned[ids[i // block_size], i % block_size] = True
    cache[~owned] = math.nan
    return given(cache, table, torch.tensor(lengths, dtype=torch.int32))


def _case(name: str, meaning: str, lengths: list[int], block_size: int, **more: object) -> Values:
    make = lambda: paged_texts(name, lengths, block_size, **more)  # type: ignore[arg-type]  # noqa: E731
    return Values(name, make, gather_by_hand, meaning, where=lambda index: f"packed token {index[0]}, head {index[1]}")


def _pages_may_lie_anywhere(call: LearnerCall) -> Finding | bool | None:
    cache, table, lengths = paged_texts("anywhere", [7, 10], 4, leftover=0).args
    moved = torch.randperm(len(cache), generator=inputs.generator("moved"))
    elsewhere = torch.empty_like(cache)
    elsewhere[moved] = cache
    return same(call(elsewhere, moved[table.long()].int(), lengths), call(cache, table, lengths))


def _order_of_texts(call: LearnerCall) -> Finding | bool | None:
    cache, table, lengths = paged_texts("order", [5, 8, 3], 4).args
    got, turned = call(cache, table, lengths), call(cache, table.flip(0), lengths.flip(0))
    return same(turned, torch.cat([got[13:], got[5:13], got[:5]]))


LONG = [96, 130, 61]
LONG_BYTES = sum(LONG) * G * 64 * 4


def _long() -> Given:
    return paged_texts("budget", LONG, 16, num_blocks=256, max_blocks=64, width=64)


GATHER = Exercise(
    id="10.gather",
    title="Fetch texts out of their pages",
    statement=(
        "cache (num_blocks, P, G, D) is a pool of pages, block_table (B, max_blocks) int32 names each text's pages in order, "
        "seq_lens (B,) int32 its tokens. Return all texts packed one behind the other, (T, G, D) with T the sum of seq_lens. "
        "Entries of the table after a text's last page are leftovers and may be any number; slots that no text owns hold NaN."
    ),
    signature="gather(cache, block_table, seq_lens)",
    layers={
        "contract": (
            Contract("returns (T, G, D)", lambda: paged_texts("shape", [5, 7], 4), gather_by_hand),
            Contract("keeps float64", lambda: paged_texts("64", [5, 7], 4, dtype=torch.float64), gather_by_hand),
        ),
        "values": (
            _case("whole pages", "Token i of a text lies in page i // P of its row, at offset i % P.", [8], 4),
            _case("a partial last page", "The text ends inside its last page: what lies behind is not its own.", [6], 4),
            _case("several texts", "Each text has a row of the table of its own, and ends where seq_lens says.", [6, 4, 9], 4),
            _case("leftovers in the table", "Entries after a text's last page are not page numbers: do not look there.", [3, 9], 4, max_blocks=5),
            _case("leftovers below zero", "Torch takes -1 for the last page of the pool: do not look at leftovers.", [3, 9], 4, max_blocks=5, leftover=-1),
            _case("pages of one slot", "With P = 1 the table names every slot.", [3, 2], 1),
            _case("a text shorter than a page", "One page, and most of it is not the text's.", [1, 2], 8),
            _case("an empty text", "A text without tokens has no page, and adds nothing.", [4, 0, 5], 4),
            _case("two texts share a page", "A page may stand in two rows: it is fetched for both.", [6, 7], 4, shared=1),
            _case("a pool with gaps", "The pool is a view with gaps in memory: index it, do not reinterpret it.", [6, 9], 4, gaps=True),
        ),
        "properties": (
            Property("pages may lie anywhere", _pages_may_lie_anywhere, "Moving the pages, and the table with them, changes nothing."),
            Property("texts may come in any order", _order_of_texts, "The texts come out in the order of the table's rows."),
        ),
        "resources": (
            Budget("makes nothing larger than the texts", _long, {"largest_tensor_bytes": LONG_BYTES * 9 // 8},
                   "Something larger than all the texts was made: fetch each text's own pages, not whole rows of the table."),
            Budget("reads the texts, not the pool", _long, {"bytes_loaded": LONG_BYTES * 5 // 2},
                   "Far more was read than the texts hold: was the pool copied or converted?"),
        ),
    },
    hints=(
        "Go text by text. Which of its table's entries mean anything, and where in their pages does it end?",
        "A text of n tokens owns the first ceil(n / P) entries of its row; laid one behind the other these pages hold its n "
        "tokens first, and after them what is not its own.",
        "for each text:\n    ids = the first -(-n // P) entries of its row\n"
        "    pages = cache[ids]                      # (pages, P, G, D)\n    flatten the first two axes, keep the first n\n"
        "join the pieces along the first axis",
    ),
    solution="minillm/attention/naive_paged.py: gather_blocks, and notebooks/solutions/lesson_10.py: gather",
)  # fmt: skip
