"""Whose turn is it? A launch pattern's name becomes the list of output tiles, in the order in which programs take them.

The orders of a matrix product are the kernels' own lines (`kernels/tile_order.py`), run on plain integers; an order of a
reader's own is checked to take every tile once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy

Order = Callable[[int, int, int], Any]

VECTOR, ROWS, NAIVE, GROUPED, PERSISTENT, YOURS = (
    "vector", "softmax rows", "matmul, row by row", "matmul, grouped", "matmul, persistent", "matmul, your order",
)  # fmt: skip
PATTERNS = (VECTOR, ROWS, NAIVE, GROUPED, PERSISTENT)
WORKERS = 6  # programs of the persistent kernel: a small GPU with so many multiprocessors
MAX_TILES = 400


@dataclass(frozen=True)
class Tile:
    """One output tile: the program that computes it, and its place among the tiles."""

    program: int
    row: int
    column: int


def block_shape(pattern: str, columns: int, block: int) -> tuple[int, int]:
    """(rows, columns) of one program's tile."""
    if pattern == VECTOR:
        return 1, block
    if pattern == ROWS:
        return block, 1 << (columns - 1).bit_length()  # a whole row, padded to a power of two
    return block, block


def take_turns(pattern: str, tiles_m: int, tiles_n: int, group: int, order: Order | None) -> list[Tile]:
    """Pattern and the grid of tiles -> each tile once, in the order started. Raises InvalidValue for too many to show."""
    if tiles_m * tiles_n > MAX_TILES:
        rule = f"a picture can show at most {MAX_TILES} tiles"
        raise InvalidValue(rule_numbers_remedy(rule, f"{tiles_m} x {tiles_n}", "choose a larger block"))
    if pattern == YOURS and order is not None:
        return _your_order(order, tiles_m, tiles_n)
    if pattern in (VECTOR, ROWS):  # one tile high or one tile wide: a program's id is its tile's
        return [Tile(program, program // tiles_n, program % tiles_n) for program in range(tiles_m * tiles_n)]
    from minillm.kernels.tile_order import tile_order

    rung = {GROUPED: "grouped", PERSISTENT: "persistent"}.get(pattern, "naive")
    turns = tile_order(rung, tiles_m, tiles_n, block_m=1, block_n=1, group_m=group, programs=WORKERS)
    return [Tile(turn.program, turn.row, turn.column) for turn in turns]


def _your_order(order: Order, tiles_m: int, tiles_n: int) -> list[Tile]:
    tiles = []
    for program in range(tiles_m * tiles_n):
        answer = order(program, tiles_m, tiles_n)
        try:
            row, column = (int(number) for number in answer)
        except (TypeError, ValueError):
            rule = "order must return (row, column), two whole numbers"
            raise InvalidType(rule_numbers_remedy(rule, repr(answer), f"look at program {program}")) from None
        tiles.append(Tile(program, row, column))
    places = [(tile.row, tile.column) for tile in tiles]
    wanted = {(row, column) for row in range(tiles_m) for column in range(tiles_n)}
    if missing := sorted(wanted - set(places)):
        outside = sorted(set(places) - wanted)
        twice = sorted({place for place in places if places.count(place) > 1})
        numbers = (
            f"{missing[0]} left out, {twice[0] if twice else 'none'} twice, {outside[0] if outside else 'none'} outside"
        )
        rule = f"order must take each of the {tiles_m} x {tiles_n} tiles once"
        raise InvalidValue(rule_numbers_remedy(rule, numbers, "draw the first few on paper"))
    return tiles
