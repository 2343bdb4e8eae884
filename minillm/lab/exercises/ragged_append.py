"""The exercise 07.append: new tokens written into memory that was there before, in rows of different lengths.

Gluing gives the right numbers too. So most cases look at the memory itself: what was written, what was left alone, what
was refused; and the last ones at the bytes, for what is already kept must not move.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Property, given, same
from minillm.lab.checks.compare import kind_problem
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

MAX_LENGTH, G, D = 8, 2, 4


def _scene(lengths: list[int], counts: list[int], *, max_length: int = MAX_LENGTH, L: int | None = None) -> Given:
    """Memory whose filled part is random and whose rest is NaN, and a chunk whose padding is 777."""
    B, L = len(lengths), max(counts) if L is None else L
    memory = inputs.normal("memory", B, max_length, G, D)
    chunk = inputs.normal("chunk", B, L, G, D)
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        memory[row, length:] = math.nan
        chunk[row, count:] = 777.0
    return given(memory, lengths, chunk, counts)


def _wanted(memory: Tensor, lengths: list[int], chunk: Tensor, counts: list[int]) -> tuple[list[Tensor], Tensor]:
    """The rows to hand back, and the whole memory as it should look."""
    after = memory.clone()
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        for token in range(count):
            after[row, length + token] = chunk[row, token]
    return [after[row, : n + m] for row, (n, m) in enumerate(zip(lengths, counts, strict=True))], after


def _run_live(call: LearnerCall, scene: Given) -> Any:
    """Call the answer on these very tensors: it is asked to write into one of them."""
    call.last_given = Given(scene.args, {})
    return call.function(*scene.args)


def _problem(rows: Any, want: list[Tensor], compare: Any = same) -> Finding | None:
    if not isinstance(rows, (list, tuple)) or len(rows) != len(want):
        got = f"{type(rows).__name__}" + (f" of {len(rows)}" if isinstance(rows, (list, tuple)) else "")
        return Finding("", (("got", got), ("want", f"a list of {len(want)} tensors, one a row")))
    for row, (got_row, want_row) in enumerate(zip(rows, want, strict=True)):
        if finding := compare(got_row, want_row):
            return Finding("", (("row", str(row)), *finding.facts))
    return None


def _case(name: str, meaning: str, lengths: list[int], counts: list[int], **more: int) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        scene = _scene(lengths, counts, **more)
        want, after = _wanted(*scene.args)
        told = (("inputs", f"{MAX_LENGTH} places a row, lengths {lengths}, counts {counts}"),)
        finding = _problem(_run_live(call, scene), want)
        if finding:
            return Finding("", (*told, *finding.facts))
        finding = same(scene.args[0], after)
        return Finding("", (*told, ("what", "memory"), *finding.facts)) if finding else None

    return Property(name, law, meaning)


def _refused(name: str, meaning: str, lengths: list[int], counts: list[int]) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        scene = _scene(lengths, counts)
        before = scene.args[0].clone()
        told = (("inputs", f"{MAX_LENGTH} places a row, lengths {lengths}, counts {counts}"),)
        try:
            _run_live(call, scene)
        except ValueError:
            finding = same(scene.args[0], before)
            return Finding("", (*told, ("what", "memory, after the refusal"), *finding.facts)) if finding else None
        except (IndexError, RuntimeError, AssertionError) as error:
            return Finding("", (*told, ("got", type(error).__name__), ("want", "ValueError")))
        return Finding("", (*told, ("got", "no error"), ("want", "ValueError")))

    return Property(name, law, meaning)


def _shapes(call: LearnerCall) -> Finding | None:
    scene = _scene([2, 5], [1, 1])
    want = _wanted(*scene.args)[0]
    return _problem(_run_live(call, scene), want, compare=kind_problem)


def _only_memory(call: LearnerCall) -> Finding | None:
    """lengths, chunk and counts belong to the caller."""
    scene = _scene([2, 5], [1, 1])
    chunk = scene.args[2].clone()
    _run_live(call, scene)
    kept = (scene.args[1] == [2, 5], torch.equal(scene.args[2], chunk), scene.args[3] == [1, 1])
    edited = [name for name, same_still in zip(("lengths", "chunk", "counts"), kept, strict=True) if not same_still]
    return Finding("", (("edited", ", ".join(edited)),)) if edited else None


def _any_cut(call: LearnerCall) -> Finding | None:
    memory, _, chunk, _ = _scene([0, 0], [7, 7]).args
    filled: list[Tensor] = []
    cuts = (((1, 0), (2, 3), (0, 1), (4, 3)), ((7, 7),), ((3, 0), (0, 7), (4, 0)))
    for cut in cuts:
        lengths, live = [0, 0], memory.clone()
        for counts in cut:
            piece = torch.full((2, max(counts), G, D), 777.0)
            for row in range(2):
                piece[row, : counts[row]] = chunk[row, lengths[row] : lengths[row] + counts[row]]
            rows = _run_live(call, given(live, list(lengths), piece, list(counts)))
            lengths = [n + m for n, m in zip(lengths, counts, strict=True)]
        filled.append(torch.stack([row.clone() for row in rows]))
    return next((finding for other in filled[1:] if (finding := same(filled[0], other))), None)


def _long() -> Given:
    """Rows of about a thousand tokens, four new ones each: what is kept is 250 times what is new."""
    return _scene([900, 1000, 950, 10], [4, 4, 3, 4], max_length=1024)


NEW_BYTES = 4 * 4 * G * D * 4


def _views(call: LearnerCall) -> Finding | None:
    outcome = call.observe(_long())
    places = {row.untyped_storage().data_ptr() for row in outcome.result}
    if "memory" in outcome.shared and len(places) == 1:
        return None
    return Finding("", (("got", "rows in memory of their own"), ("want", "views of `memory`")))


APPEND = Exercise(
    id="07.append",
    title="Append to rows of different lengths",
    statement=(
        "memory (B, S_max, G, D) holds lengths[b] tokens of row b. Write the first counts[b] tokens of chunk (B, L, G, D) behind "
        "them, in place, and return a list of B views, one a row, of all that is kept. The rest of a chunk's row is padding. "
        "If a row has no room, raise ValueError before anything is written."
    ),
    signature="append(memory, lengths, chunk, counts)",
    layers={
        "contract": (
            Property("one view a row", _shapes, "Return a list of B tensors (lengths[b] + counts[b], G, D)."),
            Property("only memory is written", _only_memory, "Write into `memory` and nothing else: lengths, chunk and counts are the caller's."),
        ),
        "values": (
            _case("rows of one length", "New tokens go right behind what is kept.", [3, 3], [2, 2]),
            _case("ragged rows", "Each row goes on where it stands itself, not where the longest does.", [5, 0, 2], [1, 1, 1]),
            _case("ragged chunks", "Padding is not kept: of row b only the first counts[b] tokens are real.", [1, 4, 0], [4, 2, 1]),
            _case("a row that waits", "A row with no new token is left as it is.", [3, 2], [0, 2]),
            _case("nobody has news", "A chunk may be all padding.", [3, 2], [0, 0], L=2),
            _case("to the last place", "A row may be filled to its last place.", [7, 5], [1, 3]),
            _refused("three too many", "8 places do not hold 6 + 5 tokens.", [6, 0], [5, 1]),
            _refused("one too many", "A full row: slicing past the end is no error to torch, and the token is lost.", [8, 3], [1, 1]),
            _refused("the last row is full", "Look at every row before you write to any.", [0, 8], [1, 1]),
        ),
        "properties": (Property("any cut", _any_cut, "However tokens come, in ones or in chunks, the same is kept."),),
        "resources": (
            Property("nothing copied", _views, "The rows handed back are copies: slice `memory`, do not glue."),
            Budget("moves what is new", _long, {"bytes_moved": 8 * NEW_BYTES}, "Far more is moved than the new tokens: what is kept must stay where it is."),
            Budget("needs no room of its own", _long, {"peak_bytes": 4 * NEW_BYTES}, "Memory was reserved so that no other is needed."),
        ),
    },
    hints=(
        "A slice of `memory` is a view: reading it copies nothing, and assigning to it writes in place.",
        "Row b's new tokens go to the places lengths[b] to lengths[b] + counts[b] - 1, and nothing else changes.",
        "for every row: raise ValueError if its new length exceeds memory.shape[1]\n"
        "for every row: the slice of memory behind its length = the first count tokens of its chunk\n"
        "return [memory[row, : new length] for every row]",
    ),
    solution="minillm/cache/contiguous.py, and notebooks/solutions/lesson_07.py: append",
)  # fmt: skip
