"""Where do the wasted bytes go? A pool of pages beside memory reserved in one piece, as texts arrive, grow, fork and leave.

On the left every text takes a page when its last one is full; on the right it reserves a piece when it comes. The same
texts arrive at the same steps on both sides, and the slider walks through the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.pool_picture import draw_pool
from minillm.lab.widgets.pool_story import LONGEST, SLOTS, STEPS, Frame, PagedSide, WholeSide, play

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

BLOCK_SIZES = (1, 2, 4, 8, 16)
LONGEST_ALLOWED, KNOWN = "longest", "known"
ROW = 16  # slots in one row of the maps


@dataclass(frozen=True)
class PoolDay:
    """The day in both memories at one step: `paged` and `whole` hold a frame a step, from the first to the last."""

    block_size: int
    reserve: str
    step: int
    paged: tuple[Frame, ...]
    whole: tuple[Frame, ...]

    @property
    def frames(self) -> tuple[Frame, Frame]:
        """The two memories now: in pages, and in one piece a text."""
        return self.paged[self.step], self.whole[self.step]

    @property
    def ref_counts(self) -> dict[int, int]:
        """Page -> how many texts read it, of those in use."""
        return {piece.start // self.block_size: len(piece.owners) for piece in self.frames[0].pieces}

    @property
    def unusable(self) -> int:
        """External fragmentation: free slots in one-piece memory that the next waiting text cannot have; 0 if nobody waits."""
        whole = self.frames[1]
        return SLOTS - whole.given_out if whole.waiting else 0


def pool_explorer(block_size: int = 4, *, reserve: str = LONGEST_ALLOWED) -> Panel | Still:
    """Page size, and what one-piece memory reserves -> a widget: both memories slot by slot, tables, and who waits.

    `reserve` is "longest" (as long as a text may get) or "known" (as long as it will get, which nobody knows). Raises
    InvalidValue for others, and for a page size that is not 1, 2, 4, 8 or 16. Source: Kwon et al. 2023.
    """
    return show(explore_pool(block_size, reserve=reserve))


def explore_pool(block_size: int = 4, *, reserve: str = LONGEST_ALLOWED) -> Explorer[PoolDay]:
    """The same without the controls: `.data(step=5)`, `.text(block_size=16)`, `.still(reserve="known", step=8)`."""
    for name, value, known in (("block_size", block_size, BLOCK_SIZES), ("reserve", reserve, (LONGEST_ALLOWED, KNOWN))):
        if value not in known or isinstance(value, bool):
            rule = f"{name} must be one of {', '.join(map(str, known))}"
            raise InvalidValue(rule_numbers_remedy(rule, repr(value), f"try {known[len(known) // 2]!r}"))
    controls = (
        Slider("step", "Step", "tokens written by each text", 0, STEPS, 1, 8),
        Steps("block_size", "Page P", "slots", BLOCK_SIZES, block_size),
        Choice("reserve", "One piece a text", "", (LONGEST_ALLOWED, KNOWN), reserve,
               (f"as long as a text may get: {LONGEST} slots", "as long as it will get, if one knew")),
    )  # fmt: skip

    def compute(state: State) -> PoolDay:
        paged, whole = play(PagedSide(state["block_size"])), play(WholeSide(state["reserve"] == KNOWN))
        return PoolDay(state["block_size"], state["reserve"], state["step"], paged, whole)

    return Explorer("Pool explorer", controls, compute, draw_pool, describe_pool)


def slot_map(frame: Frame) -> list[str]:
    """One memory as rows of 16 signs: a letter is a token of that text, + a shared one, o an empty slot given out, · a free one."""
    signs = ["·"] * SLOTS
    for piece in frame.pieces:
        sign = piece.owners[0] if len(piece.owners) == 1 else "+"
        signs[piece.start : piece.start + piece.size] = sign * piece.used + "o" * (piece.size - piece.used)
    text = "".join(signs)
    return [text[row : row + ROW] for row in range(0, SLOTS, ROW)]


def describe_pool(data: PoolDay) -> str:
    """Both maps side by side, the tables with their shared pages, what happened, and the slots counted."""
    paged, whole = data.frames
    reserved = f"{LONGEST} slots a text" if data.reserve == LONGEST_ALLOWED else "what each text will need"
    lines = [
        f"step {data.step} of {STEPS}: pages of {data.block_size}, and one piece of {reserved}; {SLOTS} slots each"
    ]
    maps = zip(_parted(slot_map(paged), data.block_size), slot_map(whole), strict=True)
    lines += [f"  {left}     {right}" for left, right in maps]
    lines += ["  a letter: a token of that text   +: a shared one   o: given out, empty   ·: free"]
    rows = [_counted("pages", data.paged, data.step), _counted("one piece", data.whole, data.step)]
    lines += figures.text_table(
        ["", "given out", "with a token", "empty", "texts in", "waiting", "written so far"], rows
    )
    lines += [
        f"  {name}: {paged.lengths[name]} tokens, pages {_table(data, ids)}" for name, ids in paged.tables.items()
    ]
    lines += [f"  pages: {event}" for event in paged.events]
    lines += [f"  one piece: {event}" for event in whole.events]
    if data.unusable:
        need = f"{whole.waiting[0]} waits with {data.unusable} slots free, in holes of at most {whole.largest_hole}"
        lines.append(f"  one piece: {need}")
    return "\n".join(lines)


def _parted(rows: list[str], block_size: int) -> list[str]:
    """Rows with a space between pages, none where a page is one slot."""
    if block_size == 1:
        return rows
    return [" ".join(row[i : i + block_size] for i in range(0, ROW, block_size)) for row in rows]


def _counted(name: str, frames: tuple[Frame, ...], step: int) -> list[str]:
    frame = frames[step]
    numbers = (frame.given_out, frame.used, frame.empty, len(frame.lengths), len(frame.waiting), frame.written)
    return [name, *map(str, numbers)]


def _table(data: PoolDay, block_ids: tuple[int, ...]) -> str:
    counts = data.ref_counts
    return " ".join(f"{block}" + (f"(x{counts[block]})" if counts[block] > 1 else "") for block in block_ids)
