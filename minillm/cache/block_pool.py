"""Who owns which block of the KV cache: a pool of equal blocks, lent out, shared and taken back.

Every block counts its references. A block nobody refers to is free; if it still holds a piece of a text that can be found
again by a key, it is free *and kept*, and is handed out only when no plain block is left, the least recently used first. No
tensor is touched here, so thousands of random workloads a second can be driven through it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


class OutOfBlocks(InvalidValue):
    """More blocks were asked for than are free. Nothing was taken."""


@dataclass(frozen=True)
class PoolSnapshot:
    """A pool at one moment, as plain data: references by block, kept blocks with their keys, and who is handed out next."""

    block_size: int
    ref_counts: tuple[int, ...]
    keys: dict[int, Hashable]
    plain: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def free_order(self) -> tuple[int, ...]:
        """Every free block, the next to be handed out first."""
        return self.plain + self.kept


class BlockPool:
    """`num_blocks` blocks of `block_size` tokens each, numbered from 0.

    All calls cost a fixed time a block. Raises InvalidType or InvalidValue for what is no block, appears twice in one call or
    is not in the state the call needs, and OutOfBlocks for more than there is; the pool is then as it was. After vLLM's pool.

    on_free    called with the blocks whose last reference went; the kept ones among them still hold a text
    on_reuse   called with a block that was kept and no longer is: it is about to be handed out, or was forgotten
    """

    def __init__(self, num_blocks: int, block_size: int):
        require_whole(num_blocks=num_blocks, block_size=block_size)
        self.num_blocks, self.block_size = num_blocks, block_size
        try:
            self._ref_counts = [0] * num_blocks
        except (MemoryError, OverflowError):
            rule = "the references of all blocks must fit the memory"
            raise InvalidValue(rule_numbers_remedy(rule, f"{num_blocks:,} blocks", "make a smaller pool")) from None
        self.on_free: list[Callable[[list[int]], None]] = []
        self.on_reuse: list[Callable[[int], None]] = []
        # Taking the oldest out of a plain dict walks over all that were taken before it; an OrderedDict is linked.
        self._plain: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))
        self._kept: OrderedDict[int, None] = OrderedDict()
        self._key_of: dict[int, Hashable] = {}
        self._block_of: dict[Hashable, int] = {}

    @property
    def num_free(self) -> int:
        """Blocks without a reference, those that are still kept among them."""
        return len(self._plain) + len(self._kept)

    @property
    def num_used(self) -> int:
        """Blocks with at least one reference."""
        return self.num_blocks - self.num_free

    @property
    def num_kept(self) -> int:
        """Free blocks that can still be found by their key."""
        return len(self._kept)

    def allocate(self, count: int) -> list[int]:
        """-> `count` blocks with one reference each. Plain ones first; then kept ones, which are forgotten."""
        plain = self._plain
        if type(count) is not int or count < 0:
            require_whole(at_least=0, count=count)
        if count > len(plain) + len(self._kept):
            rule = f"{self.num_free} of {self.num_blocks} blocks are free"
            raise OutOfBlocks(rule_numbers_remedy(rule, str(count), "free a text first, or make a larger pool"))
        while len(plain) < count:
            self.forget(next(iter(self._kept)))
        blocks = []
        for _ in range(count):
            block, _ = plain.popitem(last=False)
            self._ref_counts[block] = 1
            blocks.append(block)
        return blocks

    def free(self, blocks: Sequence[int]) -> None:
        """Drop one reference each, the last block first: the end of a text is handed out before its beginning."""
        counts, ended = self._ref_counts, []
        for block in reversed(self.require_in_use(blocks)):
            counts[block] -= 1
            if counts[block] == 0:
                (self._kept if block in self._key_of else self._plain)[block] = None
                ended.append(block)
        if ended:
            for tell in self.on_free:
                tell(ended)

    def fork(self, blocks: Sequence[int]) -> list[int]:
        """-> the same blocks with one more reference each; kept ones that nobody used come back to life."""
        blocks = self._require_blocks(blocks)
        for block in blocks:
            if not self._ref_counts[block] and block not in self._kept:
                rule = "a block must be in use or kept to be shared"
                raise InvalidValue(rule_numbers_remedy(rule, f"block {block}, which is free", "allocate it instead"))
        for block in blocks:
            if not self._ref_counts[block]:
                del self._kept[block]
            self._ref_counts[block] += 1
        return blocks

    def ref_count(self, block: int) -> int:
        """How many references a block has; 0 when it is free."""
        self._require_blocks((block,))
        return self._ref_counts[block]

    def is_private(self, block: int) -> bool:
        """Whether a block of this pool has one reference and no key, so that its holder may write to it. Trusts its input."""
        return self._ref_counts[block] == 1 and block not in self._key_of

    def keep(self, block: int, key: Hashable) -> None:
        """Let a block in use be found by `key`, also when it is free again, until it is handed out or forgotten.

        Raises InvalidValue when the block has another key or the key another block.
        """
        self.require_in_use((block,))
        if key is None:
            raise _no_key(key)
        holder, other = self.find(key), self._key_of.get(block, key)
        if holder not in (None, block) or other != key:
            rule, taken = (
                "a block has one key, and a key one block",
                "another key" if holder is None else f"block {holder}",
            )
            raise InvalidValue(
                rule_numbers_remedy(rule, f"block {block} beside {taken}", "find the key first, or forget")
            )
        self._key_of[block], self._block_of[key] = key, block

    def find(self, key: Hashable) -> int | None:
        """The block kept under a key, or None. It takes no reference: fork the block before anything else is allocated."""
        try:
            return self._block_of.get(key)
        except TypeError:
            raise _no_key(key) from None

    def key_of(self, block: int) -> Hashable | None:
        """The key a block is kept under, or None."""
        self._require_blocks((block,))
        return self._key_of.get(block)

    def forget(self, block: int) -> None:
        """Keep a block no longer. Nothing happens to one that is not kept."""
        self._require_blocks((block,))
        if block not in self._key_of:
            return
        del self._block_of[self._key_of.pop(block)]
        if not self._ref_counts[block]:
            del self._kept[block]
            self._plain[block] = None
        for tell in self.on_reuse:
            tell(block)

    def require_in_use(self, blocks: Sequence[int]) -> list[int]:
        """-> the blocks as a list; raises InvalidType or InvalidValue unless all are different and in use."""
        blocks = self._require_blocks(blocks)
        for block in blocks:
            if not self._ref_counts[block]:
                rule, numbers = "a block must be in use", f"block {block}, which has no reference"
                raise InvalidValue(rule_numbers_remedy(rule, numbers, "take it first, and give it back once"))
        return blocks

    def snapshot(self) -> PoolSnapshot:
        """The pool at this moment, as plain data that later calls don't change."""
        counts, keys = tuple(self._ref_counts), dict(self._key_of)
        return PoolSnapshot(self.block_size, counts, keys, tuple(self._plain), tuple(self._kept))

    def check(self, holders: Iterable[Iterable[int]] | None = None) -> None:
        """Assert all that must hold; given `holders`, every list of blocks someone refers to, count their references too."""
        free = {block for block, count in enumerate(self._ref_counts) if count == 0}
        assert min(self._ref_counts) >= 0, "a block has fewer than no references"
        assert not self._plain.keys() & self._kept.keys(), "a block is free twice"
        assert self._plain.keys() | self._kept.keys() == free, "the free blocks are not those without a reference"
        assert self._kept.keys() == free & self._key_of.keys(), "the kept free blocks are not the free ones with a key"
        assert {key: block for block, key in self._key_of.items()} == self._block_of, "keys and blocks disagree"
        if holders is not None:
            counted = Counter(block for blocks in holders for block in blocks)
            wrong = {b: (count, counted[b]) for b, count in enumerate(self._ref_counts) if count != counted[b]}
            assert not wrong, f"block: (references, holders) should agree, but {wrong}"

    def __repr__(self) -> str:
        shared = sum(count > 1 for count in self._ref_counts)
        used, free = f"{self.num_used} of {self.num_blocks} used ({shared} shared)", f"{self.num_free} free"
        return f"BlockPool({used}, {free} ({self.num_kept} kept), block_size={self.block_size})"

    def _require_blocks(self, blocks: Sequence[int]) -> list[int]:
        """-> the blocks as a list, each a block of this pool and none named twice."""
        if not isinstance(blocks, (list, tuple)):
            raise InvalidType(
                rule_numbers_remedy("blocks must be a list", repr(blocks), "pass a list of whole numbers")
            )
        for block in blocks:
            if type(block) is not int or not 0 <= block < self.num_blocks:
                raise self._no_block(block)
        if len(blocks) > 1 and len(set(blocks)) < len(blocks):
            numbers = f"{len(blocks)} blocks, of which {len(set(blocks))} differ"
            raise InvalidValue(
                rule_numbers_remedy("a block may be named once a call", numbers, "make one call a reference")
            )
        return list(blocks)

    def _no_block(self, block: object) -> InvalidType | InvalidValue:
        if type(block) is not int:
            return InvalidType(rule_numbers_remedy("a block must be a whole number", repr(block), "use a plain int"))
        rule = f"blocks of this pool lie in 0 … {self.num_blocks - 1}"
        return InvalidValue(rule_numbers_remedy(rule, str(block), "pass what allocate gave"))


def _no_key(key: object) -> InvalidType:
    return InvalidType(rule_numbers_remedy("a key must be hashable and not None", repr(key), "use bytes or a tuple"))
