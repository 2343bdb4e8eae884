"""Where the texts of a scheduler live: finding what is computed already, making room, and giving back.

The scheduler decides whose tokens are computed; what that means for blocks is decided here. A block can be found by others
only after the step that computed it, and only as far as its tokens are certain. No torch here.
"""

from __future__ import annotations

from typing import NamedTuple

from minillm.cache.block_pool import BlockPool
from minillm.cache.block_table import BlockTable
from minillm.cache.prefix import GrowingText, KeptTexts
from minillm.serving.request import Request


class Beginning(NamedTuple):
    """The first `length` tokens of a text, computed already, and the blocks they are in; the last may be half full."""

    length: int
    block_ids: list[int]


class TextMemory:
    """The tables of requests over one pool. Who must go when blocks lack is not decided here."""

    def __init__(self, pool: BlockPool, prefix: KeptTexts | None):
        self.pool, self.prefix = pool, prefix
        self._texts: dict[str, GrowingText] = {}  # by request id: what can be found of it

    @property
    def capacity(self) -> int:
        """Blocks that requests can have: all that are not pinned."""
        pinned = self.prefix.pinned if self.prefix is not None else []
        return self.pool.num_blocks - len({block for blocks in pinned for block in blocks})

    def most_blocks(self, request: Request) -> int:
        """How many blocks a request comes to need at most, if it shares none."""
        return -(-request.most_tokens // self.pool.block_size)

    def find(self, request: Request) -> Beginning:
        """-> the longest beginning of a waiting request that is computed; at least its last known token never is.

        That is what the prefix cache finds, or the prompt of a parent that still has it.
        """
        size, hit = self.pool.block_size, self._hit(request)
        parent, shared = request.parent, request.num_prompt_tokens - 1
        held = parent.table if parent is not None and parent.num_computed_tokens > shared else None
        if held is not None and shared > len(hit) * size:
            return Beginning(shared, held.block_ids[: -(-shared // size)])
        return Beginning(len(hit) * size, hit)

    def open(self, request: Request, beginning: Beginning, num_tokens: int, owed: int = 0) -> bool:
        """Give a request a table with this beginning, if it can grow to `num_tokens` then -> whether it can.

        `owed` of the free blocks are spoken for.
        """
        pool, length = self.pool, beginning.length
        if -(-num_tokens // pool.block_size) - len(beginning.block_ids) > pool.num_free - owed:
            return False
        # Kept blocks that come back to life were free until now, so only now it shows whether enough others are.
        table = BlockTable(pool, pool.fork(beginning.block_ids), length)
        if table.blocks_needed(num_tokens - length) > pool.num_free - owed:
            table.free()
            return False
        request.table, request.num_computed_tokens = table, length
        return True

    def publish(self, request: Request) -> None:
        """Let the blocks that have become full be found: what is computed and certain."""
        text = self._texts.get(request.request_id)
        if text is None or request.num_computed_tokens < (text.num_kept + 1) * self.pool.block_size:
            return
        assert self.prefix is not None and request.table is not None
        self.prefix.insert_growing(text, request.table.block_ids, request.num_computed_tokens)

    def close(self, request: Request) -> None:
        """Give a request's blocks back, if it has any."""
        if request.table is not None:
            request.table.free()
            request.table = None
        if request.is_finished:
            self._texts.pop(request.request_id, None)
        elif request.request_id in self._texts:
            self._texts[request.request_id].num_kept = 0

    def _hit(self, request: Request) -> list[int]:
        if self.prefix is None:
            return []
        text = self._texts.get(request.request_id)
        if text is None:
            text = self._texts[request.request_id] = GrowingText(request.token_ids, salt=request.salt)
        return self.prefix.match_growing(text)
