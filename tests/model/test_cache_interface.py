"""What the decoder asks of a cache, tried with one of another make: packed texts, glued together anew at every pass."""

import pytest
import torch
from cached_texts import FAMILIES, decoder, relative, text

from minillm.attention.naive import naive_attention
from minillm.errors import InvalidType, InvalidValue


class GluedBatch:
    """The new tokens of several texts one behind the other, `counts` of each; everything earlier in lists of tensors."""

    is_packed = True

    def __init__(self, num_layers, counts):
        self.kept = [[None] * len(counts) for _ in range(num_layers)]
        self.lengths, self.counts = [0] * len(counts), counts

    def check(self, model, token_ids):
        if len(token_ids) != sum(self.counts) or len(self.kept) != model.num_layers:
            raise InvalidValue("other tokens than planned.")

    def positions(self, token_ids):
        return torch.cat([torch.arange(n, n + c) for n, c in zip(self.lengths, self.counts, strict=True)])

    def reach(self, token_ids):
        return max(n + c for n, c in zip(self.lengths, self.counts, strict=True))

    def attend(self, layer, q, k, v, *, window=None):
        outs = []
        parts = zip(*(x.split(self.counts) for x in (q, k, v)), strict=True)
        for row, (q_row, k_row, v_row) in enumerate(parts):
            kept = self.kept[layer][row]
            pair = (k_row, v_row) if kept is None else tuple(map(torch.cat, zip(kept, (k_row, v_row), strict=True)))
            self.kept[layer][row] = pair
            outs.append(naive_attention(q_row[None], pair[0][None], pair[1][None], causal=True, window=window)[0])
        return torch.cat(outs)

    def advance(self, count):
        assert count == sum(self.counts)
        self.lengths = [n + c for n, c in zip(self.lengths, self.counts, strict=True)]


@pytest.mark.parametrize("name", FAMILIES)
def test_packed_texts_are_each_as_alone(name):
    model = decoder(name)
    texts = [text(n, seed=n)[0] for n in (9, 20, 14)]
    batch, starts = GluedBatch(3, [0, 0, 0]), [0, 0, 0]
    for counts in ([5, 1, 3], [1, 1, 1], [2, 17, 9], [1, 1, 1]):
        batch.counts = counts
        packed = torch.cat([t[s : s + c] for t, s, c in zip(texts, starts, counts, strict=True)])
        logits = model(packed, batch)
        assert logits.shape == (sum(counts), 61)
        starts = [s + c for s, c in zip(starts, counts, strict=True)]
        for got, t, s, c in zip(logits.split(counts), texts, starts, counts, strict=True):
            assert relative(got, model(t[None, :s])[0, s - c :]) <= 1e-12
    assert batch.lengths == [9, 20, 14]


def test_ids_come_as_the_cache_wants_them():
    model = decoder("llama")
    with pytest.raises(InvalidType, match=r"int64 tensor \(T,\); got \(1, 3\) torch.int64; use torch.tensor\(ids\)"):
        model(text(3), GluedBatch(3, [3]))
    with pytest.raises(InvalidType, match=r"int64 tensor \(B, L\); got \(3,\)"):
        model(text(3)[0], model.new_cache())
    with pytest.raises(InvalidValue, match=r"at least one text and one token; got \(0,\)"):
        model(text(3)[0, :0], GluedBatch(3, [0]))


def test_the_cache_is_asked_before_any_work():
    model = decoder("llama")
    batch = GluedBatch(3, [60, 5])
    with pytest.raises(InvalidValue, match="other tokens than planned"):
        model(text(3)[0], batch)
    batch.lengths = [0, 60]
    with pytest.raises(InvalidValue, match="at most 64 positions; got 65"):
        model(text(65)[0], batch)
    assert batch.kept == GluedBatch(3, [60, 5]).kept


def test_what_is_no_cache_is_refused():
    with pytest.raises(InvalidType, match="cache must be a KV cache, or None; got list"):
        decoder("llama")(text(3), [])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_makes_the_paged_cache_that_fits_it(name):
    model, ids = decoder(name), text(20)
    cache = model.new_paged_cache(num_blocks=8, block_size=4, check=True)
    assert cache.pool.num_blocks == 8 and cache.pool.block_size == 4 and cache.checks
    table = cache.table()
    parts = [model(part, cache.extend([table], [len(part)])) for part in ids[0].split(7)]
    assert relative(torch.cat(parts), model(ids)[0]) < 1e-12
