"""The exercises 09.runs and 09.splits: which keys each run has, and into how many runs a GPU is best kept busy.

Whole numbers only. The rule is judged by what it achieves: how much of the GPU's time is work, against every other choice.
"""

from __future__ import annotations

from typing import Any

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.compare import clip
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

BUSY_ENOUGH, TOO_FEW_TILES, NEAR_ENOUGH = 0.8, 4, 0.85  # as the statement says them


def _shown(names: tuple[str, ...], args: tuple[int, ...]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(names, args, strict=True))


def _runs(seq_len: int, num_splits: int, block_s: int) -> list[tuple[int, int]]:
    """Tile by tile: run i gets tiles i * per_run to (i + 1) * per_run - 1, as far as there are any."""
    tiles = [(start, min(start + block_s, seq_len)) for start in range(0, seq_len, block_s)]
    per_run = -(-len(tiles) // num_splits)
    dealt = [tiles[i * per_run : (i + 1) * per_run] for i in range(num_splits)]
    return [(run[0][0], run[-1][1]) if run else (seq_len, seq_len) for run in dealt]


def _judge_runs(call: LearnerCall, *args: int) -> Finding | None:
    got, want = [tuple(map(int, run)) for run in call(*args)], _runs(*args)
    if got == want:
        return None
    inputs = _shown(("seq_len", "num_splits", "block_s"), args)
    return Finding("", (("inputs", inputs), ("got", clip(repr(got))), ("want", clip(repr(want)))))


def _list_of_pairs(call: LearnerCall) -> Finding | None:
    got = call(256, 2, 64)
    if (
        isinstance(got, tuple | list)
        and len(got) == 2
        and all(isinstance(x, tuple | list) and len(x) == 2 for x in got)
    ):
        return None
    return Finding("", (("got", clip(repr(got))), ("want", "[(start, end), (start, end)]")))


def _runs_case(name: str, meaning: str, *args: int) -> Property:
    return Property(name, lambda call: _judge_runs(call, *args), meaning)


def _every_key_once(call: LearnerCall) -> Finding | None:
    for seq_len in (0, 1, 63, 64, 65, 512, 700):
        for num_splits in (1, 2, 3, 4, 5, 6, 7, 8, 11, 20):
            if finding := _judge_runs(call, seq_len, num_splits, 64):
                return finding
    return None


RUNS = Exercise(
    id="09.runs",
    title="Who gets which keys?",
    statement=(
        "Deal seq_len keys out in num_splits runs, in whole tiles of block_s keys, the last tile as short as it is. Every "
        "run gets ceil(tiles / num_splits) tiles, in order, until there are none left. Return a list of (start, end), one a "
        "run; a run that gets nothing is (seq_len, seq_len)."
    ),
    signature="runs(seq_len, num_splits, block_s)",
    layers={
        "contract": (Property("a list of pairs", _list_of_pairs, "Return a list of (start, end), one for each run."),),
        "values": (
            _runs_case("two halves", "Four tiles, two runs, two tiles each.", 256, 2, 64),
            _runs_case("whole tiles", "Three tiles in two runs are two and one: a tile is not cut.", 192, 2, 64),
            _runs_case("a ragged end", "The last run ends where the keys end.", 200, 2, 64),
            _runs_case("a shorter last run", "Five tiles in two runs are three and two.", 320, 2, 64),
            _runs_case("runs without keys", "Five tiles in four runs are two, two, one and none: the last run is (seq_len, seq_len).", 320, 4, 64),
            _runs_case("one tile, many runs", "One tile cannot be cut.", 10, 8, 64),
            _runs_case("no keys", "Without keys every run is empty.", 0, 3, 64),
        ),
        "properties": (Property("every key once", _every_key_once, "Each key belongs to one run, whatever the numbers."),),
    },
    hints=(
        "Count tiles first, then tiles a run; keys come last.",
        "Run i begins at i · tiles_a_run · block_s and ends as many keys later, and both are cut off at seq_len.",
        "tiles = -(-seq_len // block_s)\nlength = -(-tiles // num_splits) * block_s\n"
        "[(min(i * length, seq_len), min((i + 1) * length, seq_len)) for i in range(num_splits)]",
    ),
    solution="minillm/measure/splits.py: split_range",
)  # fmt: skip


def _busy(programs: int, processors: int, key_tiles: int, splits: int) -> float:
    rounds = -(-programs * splits // processors) * -(-key_tiles // splits)
    return programs * key_tiles / (processors * rounds)


def _whole_number(call: LearnerCall) -> Finding | None:
    got: Any = call(8, 132, 512)
    return None if type(got) is int and got >= 1 else Finding("", (("got", clip(repr(got))), ("want", "an int from 1")))


def _rule_finding(call: LearnerCall, programs: int, processors: int, key_tiles: int) -> Finding | None:
    """None if the answer's number is the fewest that comes near the best."""
    got: Any = call(programs, processors, key_tiles)
    inputs = ("inputs", _shown(("programs", "processors", "key_tiles"), (programs, processors, key_tiles)))
    if programs >= BUSY_ENOUGH * processors or key_tiles <= TOO_FEW_TILES:
        return None if got == 1 else Finding("", (inputs, ("got", str(got)), ("want", "1")))
    if got > min(processors, key_tiles):
        return Finding("", (inputs, ("got", f"{got} runs: more than tiles, or than processors")))
    shares = [_busy(programs, processors, key_tiles, n) for n in range(1, min(processors, key_tiles) + 1)]
    best, reached = max(shares), shares[got - 1]
    fewest = next(n for n, share in enumerate(shares, 1) if share >= NEAR_ENOUGH * best)
    if got == fewest:
        return None
    runs = f"{got} run{'s' * (got > 1)}, {reached:.1%} busy"
    why = "which is not near" if reached < NEAR_ENOUGH * best else "but fewer runs come near it, too"
    return Finding(
        "", (inputs, ("got", runs), ("best", f"{best:.1%} busy, {why}"), ("enough", f"{NEAR_ENOUGH * best:.1%} busy"))
    )


def _rule_case(name: str, meaning: str, *shapes: tuple[int, int, int]) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        return next((finding for shape in shapes if (finding := _rule_finding(call, *shape))), None)

    return Property(name, law, meaning)


MANY = tuple((programs, processors, tiles) for programs in (1, 2, 5, 8, 24, 40, 70, 100) for processors in (16, 108, 132, 170) for tiles in (5, 16, 33, 512))  # fmt: skip

SPLITS = Exercise(
    id="09.splits",
    title="Into how many runs?",
    statement=(
        "`programs` programs walk over key_tiles tiles each, on a GPU of `processors` multiprocessors that take one program "
        "at a time. Return into how many runs to cut each walk: 1 if programs >= 0.8 * processors or key_tiles <= 4. Else "
        "the fewest, at most processors and at most key_tiles, whose busy share is at least 0.85 of the best there is."
    ),
    signature="splits(programs, processors, key_tiles)",
    layers={
        "contract": (Property("a whole number", _whole_number, "Return how many runs: a whole number from 1."),),
        "values": (
            _rule_case("a full GPU", "The programs alone keep the processors busy: nothing is to be cut.", (132, 132, 512), (106, 132, 512), (400, 108, 64)),
            _rule_case("hardly any keys", "So few tiles are not worth a merge: nothing is to be cut.", (1, 132, 4), (8, 132, 1)),
            _rule_case("one user, a long text", "Time is waves times the tiles of the longest run; of the numbers that come near the best, the fewest will do.", (8, 132, 512)),
            _rule_case("a wave and a bit", "17 programs of 8 runs are 136, four more than a wave: count whole waves.", (17, 132, 512), (9, 16, 64)),
            _rule_case("few tiles", "7 tiles in 4 runs are 2, 2, 2 and 1: count whole tiles.", (8, 132, 7), (1, 132, 5)),
        ),
        "properties": (_rule_case("everywhere", "The rule has to hold for any numbers.", *MANY),),
    },
    hints=(
        "Try every number of runs, and ask of each what share of the processors' time is work.",
        "Work is programs · key_tiles. The time is waves · tiles of the longest run, on all processors, and both round up.",
        "def share(n):\n    waves = ceil(programs * n / processors)\n"
        "    return programs * key_tiles / (processors * waves * ceil(key_tiles / n))\n"
        "the first n from 1 whose share is at least 0.85 * the largest share",
    ),
    solution="minillm/measure/splits.py: num_splits",
)  # fmt: skip
