"""A plain account of many texts over one pool: what every slot should contain, and who should own which block.

A memory of tokens by slot stands for the tensors. What is freed is wiped, so whatever is handed out while somebody still
reads it shows; and after every step each text, and each block that can still be found, must read back exactly. The classes
under test are passed in, and nothing here looks inside them.
"""

from collections import Counter
from typing import NamedTuple

from minillm.cache.block_pool import BlockPool, OutOfBlocks
from minillm.cache.block_table import BlockTable
from minillm.errors import InvalidType, InvalidValue


class Parts(NamedTuple):
    """What is under test; `cache` is called with a pool."""

    cache: object
    pool: type = BlockPool
    table: type = BlockTable


class Text:
    """One text: its table, and the tokens that should be there."""

    def __init__(self, table, tokens, salt):
        self.table, self.tokens, self.salt = table, tokens, salt


class Account:
    """Texts over a pool. Every operation does something to the classes under test and asserts what must follow."""

    def __init__(self, parts, num_blocks, block_size):
        self.parts, self.size = parts, block_size
        self.pool = parts.pool(num_blocks, block_size)
        self.texts, self.strangers = [], []
        self.pinned = []  # (salt, tokens, blocks)
        self.memory = {}  # slot -> token
        self.kept = {}  # block -> (salt, all tokens up to its end)
        self.freed_at, self.clock = dict.fromkeys(range(num_blocks), -1), 0
        self.lost = []  # (block, what it was kept for) since the last operation began
        self.seen = Counter()  # what happened in this life
        self.pool.on_free.append(self.freed)
        self.pool.on_reuse.append(self.reused)
        # Called after the account's own, so a block is reported before those that the cache loses with it.
        self.cache = parts.cache(self.pool)

    # What the pool reports.

    def freed(self, blocks):
        for block in blocks:
            assert self.pool.ref_count(block) == 0, f"block {block} was said to be free and is not"
            self.clock += 1
            self.freed_at[block] = self.clock
            if block not in self.kept:
                self.wipe(block)

    def reused(self, block):
        assert block in self.kept, f"block {block} was lost, but nothing was kept in it"
        self.lost.append((block, self.kept.pop(block)))
        if self.pool.ref_count(block) == 0:
            self.wipe(block)

    def wipe(self, block):
        for slot in range(block * self.size, (block + 1) * self.size):
            self.memory.pop(slot, None)

    # What should be.

    def holders(self):
        return [
            *(text.table.block_ids for text in self.texts),
            *self.strangers,
            *(blocks for *_, blocks in self.pinned),
        ]

    def references(self):
        return Counter(block for blocks in self.holders() for block in blocks)

    def free_blocks(self):
        return set(range(self.pool.num_blocks)) - set(self.references())

    def places(self):
        return {text: block for block, text in self.kept.items()}

    def beginnings(self, tokens, salt):
        """What each full block of a text is known by."""
        return [(salt, tuple(tokens[:end])) for end in range(self.size, len(tokens) + 1, self.size)]

    def expected_match(self, tokens, salt):
        places, blocks = self.places(), []
        for text in self.beginnings(tokens, salt)[: max(0, (len(tokens) - 1) // self.size)]:
            if text not in places:
                break
            blocks.append(places[text])
        return blocks

    def check_losses(self, count, free, kept, excused):
        """Kept blocks go only for want of plain ones, the one free for longest first; what followed one may go with it."""
        plain, waiting, gone = len(free - set(kept)), sorted(free & set(kept), key=self.freed_at.get), []
        for block, (salt, text) in self.lost:
            if block != excused and not any(salt == s and text[: len(t)] == t for s, t in gone):
                assert plain < count, f"block {block} was lost while {plain} plain blocks were there for {count}"
                assert block == waiting[0], f"block {block} was lost before {waiting[0]}, which is free for longer"
                self.seen["evicted"] += 1
            if block in free:
                waiting.remove(block)
                plain += 1
            gone.append((salt, text))

    def take(self, count, call, excused=None):
        """Run a call that takes `count` blocks; it must work exactly when there are so many -> its result, or None."""
        free, kept = self.free_blocks(), dict(self.kept)
        self.lost.clear()
        if count > len(free):
            self.seen["out of blocks"] += 1
            return self.refused(call, OutOfBlocks if self.parts.pool is BlockPool else InvalidValue)
        result = call()
        self.check_losses(count, free, kept, excused)
        return result

    def refused(self, call, kind=(InvalidValue, InvalidType)):
        """The call must raise a typed error and leave the pool as it was."""
        before = self.pool.snapshot()
        try:
            call()
        except kind:
            assert self.pool.snapshot() == before, "a refused call changed the pool"
            return
        raise AssertionError("a wrong call was accepted")

    # What happens: texts arrive, grow, are cut, leave.

    def arrive_again(self, tokens, old, share, salted):
        """A text begins as one did that was here: `share` of it, perhaps under another salt."""
        salt, beginning = sorted(self.kept.values(), key=str)[old % len(self.kept)]
        self.arrive([*beginning[: round(share * len(beginning))], *tokens], "another" if salted else salt)

    def arrive(self, tokens, salt):
        """A text finds its beginning, and is computed from there."""
        hit = self.cache.match(tokens, salt=salt)
        expected = self.expected_match(tokens, salt)
        assert hit == expected, f"{tokens} should find {expected}, not {hit}"
        assert len(hit) <= (len(tokens) - 1) // self.size, "a hit must leave a token to compute"
        self.seen["hit"] += bool(hit)
        length = len(hit) * self.size
        text = Text(self.parts.table(self.pool, self.pool.fork(hit), length), tokens[:length], salt)
        self.texts.append(text)
        if not self.grow(text, tokens[length:]):
            text.table.free()
            self.texts.remove(text)

    def append(self, which, tokens):
        self.grow(self.texts[which % len(self.texts)], tokens)

    def grow(self, text, tokens):
        """-> whether there was room."""
        table, partial = text.table, len(text.tokens) % self.size > 0
        shared = partial and self.references()[table.block_ids[-1]] > 1
        needed = -(-(len(text.tokens) + len(tokens)) // self.size) - len(table.block_ids) + shared
        assert table.blocks_needed(len(tokens)) == needed, f"{needed} blocks are needed"
        # A half-full tail that only a key leads to may stop being kept: its text changes.
        excused = table.block_ids[-1] if partial and not shared else None
        copies = self.take(needed, lambda: table.append(len(tokens)), excused)
        if copies is None:
            return False
        assert len(copies) == shared, "exactly a shared, half-full last block is copied"
        self.seen["copied"] += len(copies)
        self.write(text, tokens, copies)
        return True

    def write(self, text, tokens, copies):
        """Copy what must be copied, then write tokens behind the text: only into blocks that nobody else can see."""
        for source, destination in copies:
            for offset in range(self.size):
                if (token := self.memory.get(source * self.size + offset)) is not None:
                    self.memory[destination * self.size + offset] = token
        start, text.tokens = len(text.tokens), text.tokens + tokens
        references = self.references()
        for slot, token in zip(text.table.slots(start, len(text.tokens)), tokens, strict=True):
            block = slot // self.size
            assert references[block] == 1, f"block {block} is written, and {references[block]} texts read it"
            assert block not in self.kept, f"block {block} is written, and can be found by others"
            self.memory[slot] = token

    def fork(self, which):
        text = self.texts[which % len(self.texts)]
        self.texts.append(Text(text.table.fork(), list(text.tokens), text.salt))

    def truncate(self, which, share):
        text = self.texts[which % len(self.texts)]
        text.tokens = text.tokens[: round(share * len(text.tokens))]
        text.table.truncate(len(text.tokens))

    def end(self, which, finished):
        """A text that finished is kept, one that was aborted is not; neither can be used again."""
        text = self.texts[which % len(self.texts)]
        if finished:
            self.insert(which)
        blocks, start = list(text.table.block_ids), self.clock
        self.texts.remove(text)
        text.table.free()
        gone = [block for block in reversed(blocks) if not self.references()[block]]
        times = [self.freed_at[block] for block in gone]
        assert times == list(range(start + 1, start + 1 + len(gone))), "a text's end must be free before its beginning"
        for call in (text.table.free, text.table.fork, lambda: text.table.append(1), lambda: text.table.truncate(0)):
            self.refused(call)
        if gone:
            self.refused(lambda: self.pool.free(gone[:1]))

    # Texts that others may find.

    def insert(self, which):
        text = self.texts[which % len(self.texts)]
        places, blocks = self.places(), text.table.block_ids
        beginnings = zip(blocks, self.beginnings(text.tokens, text.salt), strict=False)
        new = [(block, beginning) for block, beginning in beginnings if beginning not in places]
        self.cache.insert(text.tokens, blocks, salt=text.salt)
        self.kept.update(new)

    def pin(self, which):
        text, places = self.texts[which % len(self.texts)], self.places()
        beginnings = self.beginnings(text.tokens, text.salt)
        held = any(
            salt == text.salt and len(blocks) == len(beginnings) and tokens == text.tokens[: len(tokens)]
            for salt, tokens, blocks in self.pinned
        )
        if not beginnings or held or any(beginning not in places for beginning in beginnings):
            self.refused(lambda: self.cache.pin(text.tokens, salt=text.salt))
            return
        blocks = self.cache.pin(text.tokens, salt=text.salt)
        assert blocks == [places[beginning] for beginning in beginnings]
        self.pinned.append((text.salt, list(beginnings[-1][1]), blocks))
        self.seen["pinned"] += 1

    def unpin(self, which):
        salt, tokens, _ = self.pinned.pop(which % len(self.pinned))
        self.cache.unpin(tokens, salt=salt)
        self.refused(lambda: self.cache.unpin(tokens, salt=salt))

    # Strangers, and calls that are wrong.

    def press(self, count, stays):
        """Somebody takes blocks from the pool itself, for a moment or longer; whoever was there before gives theirs back."""
        if self.strangers:
            self.pool.free(self.strangers.pop())
        blocks = self.take(count, lambda: self.pool.allocate(count))
        if blocks is not None:
            assert len(set(blocks)) == count and not set(blocks) & set(self.references()), "a block in use was lent"
            self.strangers.append(blocks)
            if not stays:
                self.pool.free(self.strangers.pop())

    def wrong_calls(self, which, block):
        for call in (self.pool.free, self.pool.fork, self.pool.ref_count):
            self.refused(lambda call=call: call([block]))
        for blocks in filter(None, self.holders()):
            twice = [blocks[which % len(blocks)]] * 2
            self.refused(lambda twice=twice: self.pool.free(twice))
            self.refused(lambda twice=twice: self.pool.fork(twice))
        self.refused(lambda: self.pool.allocate(-1))
        if self.texts:
            text = self.texts[which % len(self.texts)]
            for length in (-1, len(text.tokens) + 1, None):
                self.refused(lambda length=length: text.table.truncate(length))
            self.refused(lambda: text.table.append(-1))
            self.refused(lambda: text.table.slots(0, len(text.tokens) + 1))
            self.refused(lambda: self.parts.table(self.pool, text.table.block_ids, len(text.tokens) + self.size))

    # What must hold at all times.

    def check(self):
        self.pool.check(self.holders())
        self.cache.check()
        self.check_counts()
        for text in self.texts:
            assert text.table.length == len(text.tokens)
            assert len(text.table.block_ids) == -(-len(text.tokens) // self.size)
            read = [self.memory.get(slot) for slot in text.table.slots(0, len(text.tokens))]
            assert read == text.tokens, f"{text.tokens} was written, and {read} is there"
        for block, (_, tokens) in self.kept.items():
            read = [self.memory.get(block * self.size + offset) for offset in range(self.size)]
            assert read == list(tokens[-self.size :]), f"block {block} is known for {tokens}, and holds {read}"

    def check_counts(self):
        """The pool's own numbers are the account's: nothing here believes `pool.check`."""
        references, free, blocks = self.references(), self.free_blocks(), range(self.pool.num_blocks)
        assert [self.pool.ref_count(block) for block in blocks] == [references[block] for block in blocks]
        assert (self.pool.num_free, self.pool.num_used) == (len(free), len(blocks) - len(free))
        assert self.pool.num_kept == len(free & set(self.kept)), "num_kept counts the free blocks that can be found"
        assert {b for b in blocks if self.pool.key_of(b) is not None} == set(self.kept), (
            "other blocks are kept than should be"
        )
        assert sorted(self.pool.snapshot().free_order) == sorted(free)

    def close(self):
        """When everybody has left, everything is free."""
        for salt, tokens, _ in self.pinned:
            self.cache.unpin(tokens, salt=salt)
        for text in self.texts:
            text.table.free()
        for blocks in self.strangers:
            self.pool.free(blocks)
        self.pool.check([])
        assert self.pool.num_free == self.pool.num_blocks, "everybody left, and not everything is free"


def live(parts, seed, steps=200):
    """One random life, from a generator -> the account; it is checked after every step."""
    from random import Random

    draw = Random(seed)
    size = draw.randint(1, 4)
    account = Account(parts, draw.randint(4, 24), size)
    for _ in range(steps):
        random_step(account, draw)
        account.check()
    account.close()
    return account


def random_step(account, draw):
    """Do one of the things that can happen now."""
    tokens, which = [draw.randint(0, 1) for _ in range(draw.randint(1, 2 * account.size + 1))], draw.randrange(100)
    steps = [
        lambda: account.arrive(tokens, draw.choice([None, None, "other"])),
        lambda: account.press(draw.randrange(account.pool.num_blocks + 2), draw.random() < 0.3),
        lambda: account.wrong_calls(which, draw.choice([-1, account.pool.num_blocks, True, "0", None, 0.0])),
    ]
    if account.kept:
        steps += 2 * [lambda: account.arrive_again(tokens, which, draw.choice([1.0, 1.0, 0.5]), draw.random() < 0.2)]
    if account.texts:
        steps += 2 * [lambda: account.append(which, tokens), lambda: account.end(which, draw.random() < 0.7)]
        steps += [lambda: account.fork(which), lambda: account.truncate(which, draw.random())]
        steps += [lambda: account.insert(which), lambda: account.pin(which)]
    if account.pinned:
        steps += [lambda: account.unpin(which)]
    draw.choice(steps)()
