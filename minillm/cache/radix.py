"""The same question as the hash chain's, answered by a tree: texts that begin alike share a path from the root.

A node holds a run of whole blocks, and parts in two when a text leaves it half-way. Tokens are compared themselves, so no
hash is needed; in return the tree must be kept in step with the pool: a block that is handed out again takes everything that
followed it out of the tree.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from minillm.cache.block_pool import BlockPool
from minillm.cache.prefix import TOKEN_BYTES, KeptTexts


@dataclass(eq=False)
class Node:
    """A run of tokens and the blocks that hold it. Children are listed under the tokens of their first block.

    A root holds no run; everything below it has its salt.
    """

    salt: str | None = None
    parent: Node | None = None
    tokens: bytes = b""
    block_ids: list[int] = field(default_factory=list)
    children: dict[bytes, Node] = field(default_factory=dict)

    @property
    def token_ids(self) -> list[int]:
        """The run's tokens as numbers."""
        return array("q", self.tokens).tolist()

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, parents before children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children.values()))


class RadixCache(KeptTexts):
    """Prefixes by radix tree: one root a salt in `roots`, whose paths spell the texts that are kept.

    Blocks leave as the pool reuses them, ends of texts first; those behind a block that left can't be reached any more, and
    become plain. After SGLang's RadixAttention.
    """

    def __init__(self, pool: BlockPool):
        super().__init__(pool)
        self.roots: dict[str | None, Node] = {}
        self._node_of: dict[int, Node] = {}
        self._width = TOKEN_BYTES * pool.block_size
        pool.on_reuse.append(self._lose)

    def check(self) -> None:
        """Assert that tree and pool agree, and that every node is a run of blocks whose children begin differently."""
        super().check()
        nodes = [node for root in self.roots.values() for node in root.walk()]
        for node in nodes:
            assert len(node.tokens) == len(node.block_ids) * self._width, "a node's tokens don't fill its blocks"
            assert bool(node.block_ids) == (node.parent is not None), "only a root holds no run"
            assert node.parent is not None or node.children, "a root without children"
            assert node.parent is None or node.parent.salt == node.salt, "a child of another salt"
            for first, child in node.children.items():
                assert child.parent is node and child.tokens.startswith(first), "a child is listed wrongly"
        held = {block: node for node in nodes for block in node.block_ids}
        assert held == self._node_of, "blocks and nodes disagree"
        kept = {block for block, key in self.pool.snapshot().keys.items() if key == (self, block)}
        assert kept == held.keys(), "the pool keeps other blocks for the tree than are in it"

    def _find(self, data: bytes, most: int, salt: str | None) -> list[int]:
        blocks: list[int] = []
        for node, shared in self._path(data[: most * self._width], salt):
            blocks += node.block_ids[:shared]
        return blocks

    def _keep(self, data: bytes, blocks: list[int], salt: str | None) -> None:
        data = data[: len(blocks) * self._width]
        path = list(self._path(data, salt))
        done = sum(shared for _, shared in path)
        if done == len(blocks):
            return
        self._require_unkept(blocks[done:])
        node, shared = path[-1] if path else (self.roots.setdefault(salt, Node(salt)), 0)
        if shared < len(node.block_ids):
            node = self._split(node, shared)
        self._grow(node, data[done * self._width :], blocks[done:])

    def _path(self, data: bytes, salt: str | None) -> Iterator[tuple[Node, int]]:
        """The nodes along a text of whole blocks, each with how many of its blocks the text shares."""
        node, at = self.roots.get(salt), 0
        while node is not None and at < len(data):
            node = node.children.get(data[at : at + self._width])
            if node is not None:
                shared = self._shared_blocks(node.tokens, data, at)
                yield node, shared
                at += shared * self._width
                if shared < len(node.block_ids):
                    return

    def _shared_blocks(self, tokens: bytes, data: bytes, at: int) -> int:
        """How many blocks of `tokens` stand in `data` from `at` on, the first being known to."""
        if data.startswith(tokens, at):
            return len(tokens) // self._width
        end = self._width
        while end < len(tokens) and tokens[end : end + self._width] == data[at + end : at + end + self._width]:
            end += self._width
        return end // self._width

    def _split(self, node: Node, count: int) -> Node:
        """Part a node after `count` blocks -> the new upper part; the lower one keeps the children."""
        cut, parent = count * self._width, node.parent
        assert parent is not None
        upper = Node(node.salt, parent, node.tokens[:cut], node.block_ids[:count])
        parent.children[upper.tokens[: self._width]] = upper
        node.parent, node.tokens = upper, node.tokens[cut:]
        del node.block_ids[:count]
        upper.children[node.tokens[: self._width]] = node
        self._node_of.update(dict.fromkeys(upper.block_ids, upper))
        return upper

    def _grow(self, node: Node, tokens: bytes, blocks: list[int]) -> None:
        """Put blocks behind a node: into it when it is a leaf, as a new child otherwise."""
        if node.parent is None or node.children:
            child = Node(node.salt, node)
            node.children[tokens[: self._width]] = child
            node = child
        node.tokens += tokens
        node.block_ids += blocks
        for block in blocks:
            self._node_of[block] = node
            self.pool.keep(block, (self, block))

    def _lose(self, block: int) -> None:
        """Cut a block out of the tree, and with it all that can only be reached through it."""
        node = self._node_of.pop(block, None)
        if node is None:
            return
        at = node.block_ids.index(block)
        below = node.block_ids[at + 1 :]
        below += [lost for child in node.children.values() for part in child.walk() for lost in part.block_ids]
        first, node.tokens = node.tokens[: self._width], node.tokens[: at * self._width]
        del node.block_ids[at:]
        node.children = {}
        if not at and node.parent is not None:
            del node.parent.children[first]
            if node.parent.parent is None and not node.parent.children:
                del self.roots[node.salt]
        for lost in reversed(below):
            del self._node_of[lost]
        for lost in reversed(below):
            self.pool.forget(lost)

    def __repr__(self) -> str:
        nodes = sum(node.parent is not None for root in self.roots.values() for node in root.walk())
        return f"RadixCache({nodes} runs of {len(self._node_of)} blocks, {len(self.pinned)} texts pinned, {self.pool})"
