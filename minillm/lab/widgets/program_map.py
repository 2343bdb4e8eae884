"""Which program owns what? A Triton kernel's program id becomes offsets, the offsets become a tile, a mask trims the tile.

Every program runs the same lines; only its id differs. Tiles have fixed sizes, so the last ones stick out of the tensor,
and their lanes outside it must be masked off: they would touch memory that belongs to somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.lab.widgets.program_picture import draw_program_map
from minillm.lab.widgets.tile_turns import (
    GROUPED,
    MAX_TILES,
    NAIVE,
    PATTERNS,
    PERSISTENT,
    ROWS,
    VECTOR,
    YOURS,
    Order,
    Tile,
    block_shape,
    take_turns,
)

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel

SHAPES = {VECTOR: (1, 20), ROWS: (20, 10), NAIVE: (30, 38), GROUPED: (30, 38), PERSISTENT: (30, 38), YOURS: (30, 38)}
BLOCKS, GROUPS = (4, 8, 16), (1, 2, 3, 4, 8)
MAX_SIDE = 512


@dataclass(frozen=True)
class ProgramMap:
    """A tensor (`rows`, `columns`) cut in tiles of `block` (rows, columns), in the order programs start; `program` is chosen."""

    pattern: str
    rows: int
    columns: int
    block: tuple[int, int]
    group: int
    tiles: tuple[Tile, ...]
    program: int

    @property
    def programs(self) -> int:
        """How many programs are launched: the grid."""
        return max(tile.program for tile in self.tiles) + 1

    @property
    def own(self) -> tuple[Tile, ...]:
        """The chosen program's tiles, in the order it takes them; only a persistent kernel has more than one."""
        return tuple(tile for tile in self.tiles if tile.program == self.program)

    @property
    def last(self) -> Tile:
        """The chosen program's last tile, whose offsets and masks are shown."""
        return self.own[-1]

    def offsets(self, tile: Tile) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(rows, columns) of a tile as the kernel computes them: tile * BLOCK + arange(0, BLOCK)."""
        (height, width), row, column = self.block, tile.row, tile.column
        return tuple(row * height + i for i in range(height)), tuple(column * width + j for j in range(width))

    def lanes(self, tile: Tile) -> tuple[int, int]:
        """(lanes that work, lanes in all) of a tile: the mask lets through what lies inside the tensor."""
        offs_m, offs_n = self.offsets(tile)
        inside = sum(offset < self.rows for offset in offs_m) * sum(offset < self.columns for offset in offs_n)
        return inside, len(offs_m) * len(offs_n)


def program_ids(
    pattern: str = VECTOR, shape: tuple[int, int] | None = None, *, block: int = 8, order: Order | None = None
) -> Panel | Still:
    """A pattern's name, the tensor's (rows, columns) -> a widget: which lanes each program owns, its offsets and its masks.

    `block` is a vector's elements, a softmax's rows or a matmul tile's side. `order(program, tiles_m, tiles_n) -> (row,
    column)` is a matmul order of your own, shown under its own name. Raises InvalidValue for an unknown pattern, for
    sizes out of range, and for an order that leaves a tile out or takes one twice; InvalidType for no function.
    """
    return show(explore_programs(pattern, shape, block=block, order=order))


def explore_programs(
    pattern: str = VECTOR, shape: tuple[int, int] | None = None, *, block: int = 8, order: Order | None = None
) -> Explorer[ProgramMap]:
    """The same without the controls: `.data(program=2)`, `.text(pattern="matmul, grouped")`, `.still(...)`.

    `program` counts from 0; a number past the last program shows the last.
    """
    if order is not None and not callable(order):
        raise InvalidType(rule_numbers_remedy("order must be a function", repr(order), "pass it without calling it"))
    patterns = PATTERNS if order is None else (*PATTERNS, YOURS)
    if pattern not in patterns:
        raise unknown_name("pattern", pattern, patterns)
    shapes = SHAPES if shape is None else {**SHAPES, pattern: _require_shape(pattern, shape)}
    _require_size("block", block, 64)
    blocks = tuple(sorted({block, *BLOCKS}))
    most = max(_most_programs(name, shapes[name], blocks) for name in patterns)

    def compute(state: State) -> ProgramMap:
        chosen = map_programs(state["pattern"], shapes[state["pattern"]], state["block"], state["group"], order)
        return replace(chosen, program=min(state["program"], chosen.programs - 1))

    start = map_programs(pattern, shapes[pattern], block, 2, order)
    controls = (
        Choice("pattern", "Kernel", "", patterns, pattern),
        Slider("program", "Program id", "from 0", 0, most - 1, 1, start.programs - 1),
        Steps("block", "Block", "elements a side", blocks, block),
        Steps("group", "Group", "rows of tiles", GROUPS, 2),
    )
    return Explorer("Program ids", controls, compute, draw_program_map, describe_program_map)


def map_programs(
    pattern: str, shape: tuple[int, int], block: int, group: int = 2, order: Order | None = None
) -> ProgramMap:
    """Pattern, (rows, columns), block, group -> who owns which tile; the chosen program is 0."""
    rows, columns = shape
    height, width = block_shape(pattern, columns, block)
    tiles_m, tiles_n = -(-rows // height), -(-columns // width)
    tiles = tuple(take_turns(pattern, tiles_m, tiles_n, group, order))
    return ProgramMap(pattern, rows, columns, (height, width), group, tiles, 0)


def _most_programs(pattern: str, shape: tuple[int, int], blocks: tuple[int, ...]) -> int:
    """Programs at the smallest block that a picture can show."""
    counts = []
    for block in blocks:
        height, width = block_shape(pattern, shape[1], block)
        counts.append(-(-shape[0] // height) * -(-shape[1] // width))
    shown = [count for count in counts if count <= MAX_TILES]
    return max(shown, default=1)


def describe_program_map(data: ProgramMap) -> str:
    """The grid, the chosen program's tile with its offsets and masks, and the order of a matrix's tiles as numbers."""
    (height, width), tile, own = data.block, data.last, data.own
    offs_m, offs_n = data.offsets(tile)
    inside, lanes = data.lanes(tile)
    lines = [f"{data.pattern}: {_size(data)} in tiles of {_tile_size(data)}; {data.programs} programs"]
    if len(own) > 1:
        lines.append(f"program {data.program} takes {len(own)} tiles, one after the other; its last:")
    if data.pattern != VECTOR:
        lines += _strip("m", "program" if data.pattern == ROWS else "m_tile", tile.row, height, offs_m, data.rows)
    if data.pattern == ROWS:
        lines += [f"offs_n = {_numbers(offs_n)}", f"mask_n = offs_n < {data.columns} = {_bits(offs_n, data.columns)}"]
    else:
        lines += _strip(
            "n", "program" if data.pattern == VECTOR else "n_tile", tile.column, width, offs_n, data.columns
        )
    lines.append(f"program {data.program}: {inside} of {lanes} lanes work, {lanes - inside} are masked off")
    if lanes > inside:
        lines.append("without the mask those lanes would touch memory that is not theirs")
    if data.pattern not in (VECTOR, ROWS):
        lines += ["which program takes which tile:", *_owners(data)]
    return "\n".join(lines)


def _strip(letter: str, name: str, index: int, block: int, offsets: tuple[int, ...], size: int) -> list[str]:
    return [
        f"offs_{letter} = {name} {index} * {block} + arange({block}) = {_numbers(offsets)}",
        f"mask_{letter} = offs_{letter} < {size} = {_bits(offsets, size)}",
    ]


def _numbers(offsets: tuple[int, ...]) -> str:
    return " ".join(map(str, offsets)) if len(offsets) <= 16 else f"{offsets[0]} .. {offsets[-1]}"


def _bits(offsets: tuple[int, ...], size: int) -> str:
    inside = sum(offset < size for offset in offsets)
    if len(offsets) > 16:
        return f"{inside} ones, {len(offsets) - inside} zeros"
    return " ".join("1" if offset < size else "0" for offset in offsets)


def _size(data: ProgramMap) -> str:
    return f"{data.columns} elements" if data.pattern == VECTOR else f"{data.rows} x {data.columns}"


def _tile_size(data: ProgramMap) -> str:
    return str(data.block[1]) if data.pattern == VECTOR else f"{data.block[0]} x {data.block[1]}"


def _owners(data: ProgramMap) -> list[str]:
    owners = {(tile.row, tile.column): tile.program for tile in data.tiles}
    rows, columns = (max(place[axis] for place in owners) + 1 for axis in (0, 1))
    width = len(str(data.programs - 1))
    return ["  " + " ".join(str(owners[row, column]).rjust(width) for column in range(columns)) for row in range(rows)]


def _require_shape(pattern: str, shape: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise InvalidType(rule_numbers_remedy("shape must be (rows, columns)", repr(shape), "for a vector, (1, N)"))
    for name, size in zip(("rows", "columns"), shape, strict=True):
        _require_size(name, size, MAX_SIDE)
    if pattern == VECTOR and shape[0] != 1:
        raise InvalidValue(rule_numbers_remedy("a vector has one row", str(tuple(shape)), f"pass (1, {shape[1]})"))
    return shape[0], shape[1]


def _require_size(name: str, size: int, most: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= most:
        rule = f"{name} must be a whole number from 1 to {most}"
        raise InvalidValue(rule_numbers_remedy(rule, repr(size), "try 8"))
