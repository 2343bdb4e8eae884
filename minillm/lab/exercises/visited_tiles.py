"""The exercise 05.tiles: which tiles of keys a block of queries has to visit, and which of them need a mask.

Whole numbers only. What is right is counted out pair by pair on small tables; the last case has a trillion tokens, where
an answer that counts pairs, or walks over tiles that nobody may see, does not return in time.
"""

from __future__ import annotations

from collections.abc import Sequence

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

Visits = list[tuple[int, bool]]
NAMES = ("q_tile", "L", "S", "block_l", "block_s", "window")


def visits_by_counting(q_tile: int, L: int, S: int, block_l: int, block_s: int, window: int | None = None) -> Visits:
    """The definition, pair by pair: (first key, whether a mask is needed) of each tile that some row may look into."""
    rows = range(q_tile * block_l, min((q_tile + 1) * block_l, L))
    found = []
    for start in range(0, S, block_s):
        pairs = [_sees(i + S - L, j, S, window) for i in rows for j in range(start, start + block_s)]
        if any(pairs):
            found.append((start, not all(pairs)))
    return found


def _sees(position: int, key: int, S: int, window: int | None) -> bool:
    return key < S and key <= position and (window is None or key > position - window)


def _judge(call: LearnerCall, want: Visits, *args: int | None) -> Finding | None:
    got = [(int(start), bool(masked)) for start, masked in call(*args)]
    if got == want:
        return None
    shown = ", ".join(f"{name}={value}" for name, value in zip(NAMES, args, strict=False))
    return Finding("", (("inputs", shown), ("got", clip(repr(got))), ("want", clip(repr(want)))))


def _list_of_pairs(call: LearnerCall) -> Finding | None:
    got = call(1, 8, 8, 4, 4)
    if isinstance(got, tuple | list) and got and all(isinstance(x, tuple | list) and len(x) == 2 for x in got):
        return None
    return Finding("", (("got", clip(repr(got))), ("want", "[(first key, masked), …]")))


def _case(name: str, meaning: str, *args: int | None) -> Property:
    return Property(name, lambda call: _judge(call, visits_by_counting(*args), *args), meaning)  # type: ignore[arg-type]


def _all_of(shapes: Sequence[tuple[int | None, ...]]):  # type: ignore[no-untyped-def]
    def law(call: LearnerCall) -> Finding | None:
        for L, S, block_l, block_s, window in shapes:
            for q_tile in range(-(-L // block_l)):  # type: ignore[operator]
                args = (q_tile, L, S, block_l, block_s, window)
                if finding := _judge(call, visits_by_counting(*args), *args):  # type: ignore[arg-type]
                    return finding
        return None

    return law


def _trillion(call: LearnerCall) -> Finding | None:
    S = 2**40
    want = [(S - 192, True), (S - 128, True), (S - 64, True)]
    return _judge(call, want, S // 64 - 1, S, S, 64, 64, 100)


SHAPES = [(L, S, block_l, block_s, None) for L, S in ((7, 7), (3, 11), (11, 3), (16, 16)) for block_l, block_s in ((4, 4), (4, 2), (2, 5))]  # fmt: skip
WINDOWED = [(L, S, 4, block_s, window) for L, S in ((9, 9), (5, 17), (12, 4)) for block_s in (2, 3, 4) for window in (1, 2, 5, 30)]  # fmt: skip

TILES = Exercise(
    id="05.tiles",
    title="Which tiles does a block of queries visit?",
    statement=(
        "Causal attention at the bottom right: query i stands at position i + S - L and sees no key after it; with a window, "
        "only the last `window` keys up to its own. For the block of queries q_tile · block_l … return a list, in order, of "
        "(first key, masked) for each tile of block_s keys that one of its rows may see; masked says that some row of the "
        "block may not see all of the tile's block_s keys, as it never does where the tile sticks out beyond the last key."
    ),
    signature="visited(q_tile, L, S, block_l, block_s, window=None)",
    layers={
        "contract": (Property("a list of pairs", _list_of_pairs, "Return a list of (first key, masked)."),),
        "values": (
            _case("the first block", "Its rows see keys 0 to 3: the tile on the diagonal, and no other.", 0, 16, 16, 4, 4),
            _case("a later block", "Tiles wholly below the diagonal need no mask.", 2, 16, 16, 4, 4),
            _case("narrow tiles", "With block_s < block_l several tiles touch the diagonal.", 1, 16, 16, 4, 2),
            _case("wide tiles", "With block_s > block_l the diagonal may enter a tile that some earlier block was first to visit.", 3, 16, 16, 2, 8),
            _case("the last row opens a tile", "Query 4 sees key 4, which begins a tile.", 0, 5, 5, 5, 2),
            _case("more keys than queries", "The first query does not stand at key 0 but at S - L.", 0, 4, 12, 4, 4),
            _case("rows that see nothing", "A block that stands before the first key visits nothing.", 0, 12, 4, 4, 4),
            _case("a block half before the first key", "Some of its rows see nothing: the tile is needed, and masked.", 0, 6, 4, 4, 4),
            _case("a window", "The first tile is the one that holds the first row's oldest key.", 4, 24, 24, 4, 4, 6),
            _case("a short last block", "Rows that do not exist see nothing: the last row is L - 1, not the block's.", 2, 9, 9, 4, 2, 5),
            _case("a short last tile", "The last tile sticks out beyond the keys: it is masked.", 1, 2, 7, 1, 4),
            _case("a window of one", "Each query sees its own key only.", 2, 16, 16, 4, 2, 1),
            _case("a window wider than the text", "Nothing is cut off on the left.", 3, 16, 16, 4, 4, 99),
        ),
        "properties": (
            Property("every shape", _all_of(SHAPES), "The list is what one gets by asking for every pair of query and key."),
            Property("every window", _all_of(WINDOWED), "The list is what one gets by asking for every pair of query and key."),
        ),
        "resources": (
            Property("a trillion tokens", _trillion, "The window is 100 keys wide: only the tiles around it may cost anything."),
        ),
    },
    hints=(
        "Only the block's first and last row matter: where do they stand among the keys?",
        "A tile is visited if it begins no later than the last row's position and, with a window, ends no earlier than the "
        "first row's oldest key. It is whole if the FIRST row reaches its last key, and the LAST row's window its first key.",
        "first, last = the positions of the block's first and last row (min with L)\n"
        "oldest = max(0, first - window + 1), or 0 without a window, rounded down to a tile\n"
        "for start in range(oldest, the smaller of last + 1 and S, block_s):\n"
        "    masked = the tile's last key is after `first`, or its first is before last - window + 1",
    ),
    solution="minillm/measure/tiles.py: key_range, and notebooks/solutions/lesson_05.py",
    time_limit_s=4.0,
)  # fmt: skip
