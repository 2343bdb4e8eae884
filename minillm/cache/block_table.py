"""One text's blocks: which block of the pool holds its first tokens, which the next, and how many tokens there are.

The tokens of a text lie wherever there was room, and the table finds them: token i is in slot
`block_ids[i // block_size] * block_size + i % block_size`. Two texts with the same beginning share its blocks, and the one
that goes on writing copies the last, half-full block first.
"""

from __future__ import annotations

from collections.abc import Sequence

from minillm.cache.block_pool import BlockPool
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class BlockTable:
    """The blocks of one text of `length` tokens; exactly as many as it needs, only the last not full.

    Given `block_ids`, the table adopts references that were already taken (by `pool.allocate` or `pool.fork`). Raises
    InvalidType or InvalidValue for blocks that are not in use or do not fit the length, for a length outside its range, and
    for any use after `free`; OutOfBlocks when the pool has too few. Table and pool are then as they were. After vLLM's.
    """

    def __init__(self, pool: BlockPool, block_ids: Sequence[int] = (), length: int = 0):
        if not isinstance(pool, BlockPool):
            raise InvalidType(rule_numbers_remedy("a table needs a BlockPool", repr(pool), "pass the cache's pool"))
        require_whole(at_least=0, length=length)
        block_ids = pool.require_in_use(block_ids)
        if len(block_ids) != -(-length // pool.block_size):
            rule = f"{length} tokens fill {-(-length // pool.block_size)} blocks of {pool.block_size}"
            raise InvalidValue(rule_numbers_remedy(rule, f"{len(block_ids)} blocks", "pass as many as it fills"))
        self.pool, self.block_ids, self.length, self.is_free = pool, block_ids, length, False

    def blocks_needed(self, count: int) -> int:
        """How many blocks the pool must give before `count` tokens can be appended, a copied one included."""
        self._require_live()
        require_whole(at_least=0, count=count)
        blocks = -(-(self.length + count) // self.pool.block_size)
        return blocks - len(self.block_ids) + (count > 0 and self._tail_is_shared())

    def append(self, count: int) -> list[tuple[int, int]]:
        """Make room for `count` more tokens -> the block copies, (source, destination), to make before writing any.

        A half-full last block that another text refers to is copied; one that only a key leads to is forgotten, since what
        it is known for is about to be overwritten.
        """
        taken = self.pool.allocate(self.blocks_needed(count))
        copies = []
        if count and self._tail_is_shared():
            copies.append((self.block_ids[-1], taken[0]))
            self.pool.free([self.block_ids.pop()])
        elif count and self._has_room():
            self.pool.forget(self.block_ids[-1])
        self.block_ids += taken
        self.length += count
        return copies

    def append_in_place(self, count: int) -> bool:
        """Make room for `count` more tokens, 1 or more, if the last block has it and is this text's alone -> whether it had.

        Then nothing is taken, copied or forgotten: what almost every decode step needs, at the price of a comparison.
        """
        size = self.pool.block_size
        if count > -self.length % size or not self.pool.is_private(self.block_ids[-1]):
            return False
        self.length += count
        return True

    def truncate(self, length: int) -> None:
        """Forget every token from position `length` on and give back the blocks that held nothing else."""
        self._require_live()
        require_whole(at_least=0, length=length)
        if length > self.length:
            rule = f"length must lie in 0 … {self.length}"
            raise InvalidValue(rule_numbers_remedy(rule, str(length), "truncate to what is there"))
        blocks = -(-length // self.pool.block_size)
        self.pool.free(self.block_ids[blocks:])
        del self.block_ids[blocks:]
        self.length = length

    def fork(self) -> BlockTable:
        """-> a second text that begins with all of this one, on the same blocks."""
        self._require_live()
        return type(self)(self.pool, self.pool.fork(self.block_ids), self.length)

    def free(self) -> None:
        """Give every block back. The table can't be used afterwards."""
        self._require_live()
        self.pool.free(self.block_ids)
        self.block_ids, self.length, self.is_free = [], 0, True

    def slots(self, start: int, stop: int) -> list[int]:
        """Where the tokens from `start` up to but not including `stop` are: positions in the pool's whole memory."""
        self._require_live()
        require_whole(at_least=0, start=start, stop=stop)
        if not start <= stop <= self.length:
            rule = f"0 ≤ start ≤ stop ≤ {self.length} must hold"
            raise InvalidValue(rule_numbers_remedy(rule, f"{start} and {stop}", "append before asking for new slots"))
        size = self.pool.block_size
        slots: list[int] = []
        for index in range(start // size, -(-stop // size)):
            first = self.block_ids[index] * size - index * size
            slots.extend(range(first + max(start, index * size), first + min(stop, (index + 1) * size)))
        return slots

    def __repr__(self) -> str:
        if self.is_free:
            return "BlockTable(free)"
        shared = sum(self.pool.ref_count(block) > 1 for block in self.block_ids)
        size = self.pool.block_size
        return f"BlockTable({self.length} tokens in blocks {self.block_ids} of {size} ({shared} shared))"

    def _has_room(self) -> bool:
        return self.length % self.pool.block_size > 0

    def _tail_is_shared(self) -> bool:
        return self._has_room() and self.pool.ref_count(self.block_ids[-1]) > 1

    def _require_live(self) -> None:
        if self.is_free:
            raise InvalidValue(
                "a text that was freed has no blocks; got one; make a new table, or fork before freeing."
            )
