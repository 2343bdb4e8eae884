"""A row that is too long to hold, handed out tile by tile: the eyes of an algorithm that may not look back.

Each `for` over a stream is one pass over memory, and each tile is loaded when the loop asks for it. Inside `ml.count()`
the passes show as bytes, so two algorithms with equal answers can still be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.chip import load


class TileStream:
    """row (S, …) in tiles of `size` along S, the last one maybe shorter; tiles are copies, and come in the row's dtype.

    Raises InvalidType for what is no tensor, InvalidValue for a scalar or a tile size below 1.
    """

    def __init__(self, row: Tensor, size: int) -> None:
        if not isinstance(row, Tensor):
            raise InvalidType(
                rule_numbers_remedy("a stream is cut from a tensor", type(row).__name__, "pass torch.tensor(row)")
            )
        if row.dim() == 0:
            raise InvalidValue(rule_numbers_remedy("a stream needs an axis to cut", "a scalar", "pass row[None]"))
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InvalidValue(
                rule_numbers_remedy("a tile holds a whole number of scores, 1 or more", repr(size), "try 64")
            )
        self.row, self.size = row, size

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.row), self.size):
            yield load(self.row[start : start + self.size])

    def __repr__(self) -> str:
        return f"TileStream({len(self.row):,} long, {self.size} a tile)"
