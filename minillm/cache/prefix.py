"""Who asked this already? Whole blocks of texts that were computed before, found again by what stands in them.

A block's keys and values depend on every token before it too, so its name must say all of that: the hash of a block is taken
over its parent's hash and its own tokens. Two texts have equal hashes exactly as far as they are equal, and looking up a long
prompt is a walk along its hashes until one is unknown.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from minillm.cache.block_pool import BlockPool
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy

TOKEN_BYTES = 8


class GrowingText:
    """A text that is still being written: its tokens, a list that only grows, and how much of it is known already.

    The digests of its full blocks are remembered, so that a block that has become full costs one hash, however long the text
    before it is. `num_kept` counts the blocks that were found or inserted; set it to 0 when the text loses its blocks.
    """

    def __init__(self, token_ids: list[int], *, salt: str | None = None):
        self.token_ids, self.salt = token_ids, _require_salt(salt)
        self.links: list[tuple[bytes, bytes, bytes]] = []  # of each block: digest, its parent's, its own tokens
        self.num_kept = 0


class KeptTexts:
    """What both prefix caches share: token ids become bytes, a hit leaves a token to compute, some texts are pinned.

    `salt` is a name that sets texts apart: one user's are never found with another's. Nothing here takes references but
    `pin`: fork what `match` gives before anything else is allocated. Raises InvalidType for tokens that are no whole numbers
    or a salt that is no string, and InvalidValue for blocks that are not in use, too few, or kept for another text; the cache
    is then as it was.
    """

    def __init__(self, pool: BlockPool):
        if not isinstance(pool, BlockPool):
            raise InvalidType(
                rule_numbers_remedy("a prefix cache needs a BlockPool", repr(pool), "pass the cache's pool")
            )
        self.pool = pool
        self._pins: dict[tuple[str | None, bytes], list[int]] = {}

    @property
    def pinned(self) -> list[list[int]]:
        """The blocks of every pinned text, each holding one reference."""
        return [list(blocks) for blocks in self._pins.values()]

    def match(self, token_ids: Sequence[int], *, salt: str | None = None) -> list[int]:
        """n token ids -> the blocks that hold their longest beginning, at most floor((n - 1) / block_size).

        One token at least is left over, because the model must see one to say what comes next.
        """
        data, salt = as_bytes(token_ids), _require_salt(salt)
        return self._find(data, max(0, (len(data) // TOKEN_BYTES - 1) // self.pool.block_size), salt)

    def insert(self, token_ids: Sequence[int], block_ids: Sequence[int], *, salt: str | None = None) -> None:
        """Let the full blocks of a text be found. `block_ids` are in use, and hold the text's keys and values in order.

        A block whose text is known already is not kept twice; the one that was first stays.
        """
        data, salt = as_bytes(token_ids), _require_salt(salt)
        full = len(data) // TOKEN_BYTES // self.pool.block_size
        blocks = self.pool.require_in_use(block_ids)
        self._require_all(blocks, full)
        self._keep(data, blocks[:full], salt)

    def match_growing(self, text: GrowingText) -> list[int]:
        """`match` for a text that goes on growing."""
        return self.match(text.token_ids, salt=text.salt)

    def insert_growing(self, text: GrowingText, block_ids: Sequence[int], num_tokens: int) -> None:
        """`insert` for the first `num_tokens` of a text that goes on growing; costs nothing while no block becomes full."""
        full = num_tokens // self.pool.block_size
        if full > text.num_kept:
            self.insert(text.token_ids[: full * self.pool.block_size], block_ids, salt=text.salt)
            text.num_kept = full

    def pin(self, token_ids: Sequence[int], *, salt: str | None = None) -> list[int]:
        """Hold the full blocks of a text that was inserted, a static system prompt say, until `unpin` -> the blocks."""
        name, full = self._name(token_ids, salt)
        blocks = self._find(name[1], full, name[0])
        if name in self._pins or not full or len(blocks) < full:
            rule = "a text can be pinned once, when it fills a block and all its full blocks are kept"
            state = "pinned already" if name in self._pins else f"{len(blocks)} of {full} blocks kept"
            raise InvalidValue(rule_numbers_remedy(rule, state, "compute and insert it first"))
        self._pins[name] = self.pool.fork(blocks)
        return blocks

    def unpin(self, token_ids: Sequence[int], *, salt: str | None = None) -> None:
        """Hold a pinned text no longer; it stays kept until its blocks are needed."""
        name, _ = self._name(token_ids, salt)
        if name not in self._pins:
            raise InvalidValue(rule_numbers_remedy("only a pinned text can be unpinned", "another", "see cache.pinned"))
        self.pool.free(self._pins.pop(name))

    def check(self) -> None:
        """Assert that cache and pool agree."""
        for blocks in self._pins.values():
            assert all(self.pool.ref_count(block) for block in blocks), "a pinned block is free"

    def _name(self, token_ids: Sequence[int], salt: str | None) -> tuple[tuple[str | None, bytes], int]:
        """-> (salt, the bytes of the full blocks), and how many these are."""
        data, width = as_bytes(token_ids), TOKEN_BYTES * self.pool.block_size
        full = len(data) // width
        return (_require_salt(salt), data[: full * width]), full

    def _require_all(self, blocks: Sequence[int], full: int) -> None:
        if len(blocks) < full:
            rule = f"a text of {full} full blocks must have all of them"
            raise InvalidValue(rule_numbers_remedy(rule, f"{len(blocks)} blocks", "pass all blocks of the text"))

    def _find(self, data: bytes, most: int, salt: str | None) -> list[int]:
        raise NotImplementedError

    def _keep(self, data: bytes, blocks: list[int], salt: str | None) -> None:
        raise NotImplementedError

    def _require_unkept(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            if self.pool.key_of(block) is not None:
                rule, numbers = "a block is kept for one text", f"block {block}, which is kept for another"
                raise InvalidValue(rule_numbers_remedy(rule, numbers, "pass the blocks in the order of their tokens"))


class PrefixCache(KeptTexts):
    """Prefixes by hash chain: the pool keeps each full block under its digest, and there is nothing else to keep.

    With `check`, the tokens behind every digest are kept too and compared at every hit; AssertionError when they differ.
    After vLLM's automatic prefix caching.
    """

    def __init__(self, pool: BlockPool, *, check: bool = False):
        super().__init__(pool)
        self._texts: dict[int, tuple[bytes, ...]] | None = {} if check else None
        if check:
            pool.on_reuse.append(self._drop)

    def match_growing(self, text: GrowingText) -> list[int]:
        """`match` for a text that goes on growing; each block is hashed at most once in its life."""
        return self._walk(self._links(text, 0, max(0, (len(text.token_ids) - 1) // self.pool.block_size)))

    def insert_growing(self, text: GrowingText, block_ids: Sequence[int], num_tokens: int) -> None:
        """`insert` for the first `num_tokens` of a text that goes on growing; costs as much as blocks became full."""
        known, full = text.num_kept, num_tokens // self.pool.block_size
        if full > known:
            self._require_all(block_ids, full)
            blocks = self.pool.require_in_use(block_ids[known:full])
            self._keep_links(blocks, self._links(text, known, full))
            text.num_kept = full

    def _find(self, data: bytes, most: int, salt: str | None) -> list[int]:
        return self._walk(self._chain(data, most, salt))

    def _walk(self, links: Iterable[tuple[bytes, bytes, bytes]]) -> list[int]:
        """-> the blocks along a chain until one is unknown."""
        blocks = []
        for digest, parent, tokens in links:
            block = self.pool.find(digest)
            if block is None:
                break
            if self._texts is not None:
                assert self._texts.get(block) == (parent, tokens), f"block {block} was found for tokens it doesn't hold"
            blocks.append(block)
        return blocks

    def _keep(self, data: bytes, blocks: list[int], salt: str | None) -> None:
        self._keep_links(blocks, self._chain(data, len(blocks), salt))

    def _keep_links(self, blocks: list[int], links: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        pairs = zip(blocks, links, strict=True)
        new = [(block, link) for block, link in pairs if self.pool.find(link[0]) is None]
        self._require_unkept([block for block, _ in new])
        for block, (digest, *text) in new:
            self.pool.keep(block, digest)
            if self._texts is not None:
                self._texts[block] = tuple(text)

    def _links(self, text: GrowingText, start: int, stop: int) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The links of some blocks of a growing text, hashed when they are first come upon; those before `start` were."""
        size = self.pool.block_size
        for i in range(start, stop):
            if i == len(text.links):
                parent = text.links[-1][0] if i else first_digest(text.salt)
                text.links.append(next_link(parent, as_bytes(text.token_ids[i * size : (i + 1) * size])))
            yield text.links[i]

    def _chain(self, data: bytes, count: int, salt: str | None) -> Iterator[tuple[bytes, bytes, bytes]]:
        return block_digests(data, count, self.pool.block_size, salt)

    def _drop(self, block: int) -> None:
        assert self._texts is not None
        self._texts.pop(block, None)

    def __repr__(self) -> str:
        return f"PrefixCache({len(self.pinned)} texts pinned, {self.pool})"


def block_digests(data: bytes, count: int, size: int, salt: str | None = None) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Packed tokens -> for each of the first `count` blocks of `size` tokens: its digest, its parent's, its own bytes.

    digest = sha256(parent's digest, tokens), and the first block's parent is the digest of the salt.
    """
    parent, width = first_digest(salt), TOKEN_BYTES * size
    for start in range(0, count * width, width):
        link = next_link(parent, data[start : start + width])
        yield link
        parent = link[0]


def first_digest(salt: str | None) -> bytes:
    """What stands for the parent of a text's first block."""
    return sha256(b"" if salt is None else b"salt" + salt.encode(errors="surrogatepass")).digest()


def next_link(parent: bytes, tokens: bytes) -> tuple[bytes, bytes, bytes]:
    """A block's parent and packed tokens -> its digest, and both."""
    return sha256(parent + tokens).digest(), parent, tokens


def as_bytes(token_ids: Sequence[int]) -> bytes:
    """Token ids -> 8 bytes each, so that a block can be hashed and compared in one call."""
    try:
        if isinstance(token_ids, str | bytes | bytearray):
            raise TypeError
        return array("q", token_ids).tobytes()
    except (TypeError, OverflowError, ValueError, RuntimeError):  # the last is torch's, for a tensor without numbers
        numbers = type(token_ids).__name__
        raise InvalidType(
            rule_numbers_remedy("token_ids must be whole numbers", numbers, "pass a list of token ids")
        ) from None


def _require_salt(salt: str | None) -> str | None:
    if salt is not None and not isinstance(salt, str):
        raise InvalidType(rule_numbers_remedy("salt must be a string or None", repr(salt), "pass a user's name, say"))
    return salt
