"""Passes, rewinds, resets and single rows in any order: after each, every row is still the text it should be."""

import pytest
import torch
from cached_texts import decoder, relative, text
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from minillm.errors import InvalidValue

LONGEST, BATCH = 40, 3


class DenseCacheMachine(RuleBasedStateMachine):
    """The model of a cache is a list of texts; reading a text whole is what each new token's logits are held to."""

    @initialize(slack=st.integers(0, 6), name=st.sampled_from(["mistral", "qwen2 window"]), ring=st.booleans())
    def start(self, slack, name, ring):
        self.model = decoder(name)
        self.window, self.slack, self.ring = self.model.config.sliding_window, slack, ring
        self.cache = (
            self.model.new_ring_cache(BATCH, LONGEST, slack=slack) if ring else self.model.new_cache(BATCH, LONGEST)
        )
        self.texts = [torch.empty(0, dtype=torch.int64) for _ in range(BATCH)]
        self.furthest = [0] * BATCH  # how far each text had come when it was longest
        self.seed = 0

    def more(self, cache, rows, count):
        self.seed += 1
        new = text(count, seed=self.seed, batch=len(rows))
        logits = self.model(new, cache)
        for i, row in enumerate(rows):
            self.texts[row] = torch.cat((self.texts[row], new[i]))
            self.furthest[row] = max(self.furthest[row], len(self.texts[row]))
            assert relative(logits[i], self.model(self.texts[row][None])[0, -count:]) <= 1e-12
        assert self.cache.lengths.tolist() == [len(t) for t in self.texts]

    @precondition(lambda self: max(map(len, self.texts)) < LONGEST)
    @rule(data=st.data())
    def pass_over_all(self, data):
        room = LONGEST - max(map(len, self.texts))
        self.more(self.cache, range(BATCH), data.draw(st.integers(1, min(room, 9))))

    @rule(data=st.data(), row=st.integers(0, BATCH - 1))
    def pass_over_one(self, data, row):
        room = LONGEST - len(self.texts[row])
        if room:
            self.more(self.cache.row(row), [row], data.draw(st.integers(1, min(room, 9))))

    @rule(data=st.data())
    def rewind(self, data):
        lengths = [data.draw(st.integers(0, len(t))) for t in self.texts]
        before = self.cache.lengths.clone()
        for row, (length, furthest) in enumerate(zip(lengths, self.furthest, strict=True)):
            # The ring still holds the last window + slack tokens of the furthest it went; the next token sees a window.
            first_kept = max(0, furthest - self.window - self.slack)
            if self.ring and length and max(0, length + 1 - self.window) < first_kept:
                with pytest.raises(InvalidValue, match=f"row {row} .* more slack"):
                    self.cache.truncate(lengths)
                assert torch.equal(self.cache.lengths, before)
                return
        self.cache.truncate(lengths)
        self.texts = [t[:n] for t, n in zip(self.texts, lengths, strict=True)]
        self.furthest = [f if n else 0 for f, n in zip(self.furthest, lengths, strict=True)]

    @rule(row=st.integers(0, BATCH - 1))
    def one_text_is_replaced(self, row):
        self.cache.row(row).reset()
        self.texts[row], self.furthest[row] = self.texts[row][:0], 0

    @rule()
    def too_much_is_refused(self):
        count = LONGEST + 1 - max(map(len, self.texts))
        if self.ring and self.cache.full is None:
            count = self.model.config.max_position_embeddings + 1 - max(map(len, self.texts))
        with pytest.raises(InvalidValue):
            self.model(text(count, batch=BATCH), self.cache)


TestDenseCaches = DenseCacheMachine.TestCase
TestDenseCaches.settings = settings(max_examples=60, stateful_step_count=30)
