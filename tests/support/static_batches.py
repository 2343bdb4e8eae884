"""Padded decode steps where there is no GPU to record them: buffers as a recorded step has them, and somebody who reads them."""

import torch

from minillm.attention.naive_paged import naive_paged_attention
from minillm.serving.compute.decode_graph import DecodeGraphs, StaticBatch, graph_sizes


def torch_batch(base):
    """A StaticBatch whose buffers are read by the oracle, which keeps float64."""

    class TorchBatch(base):
        def attend(self, layer, q, k, v, *, window=None):
            pages, there = self.cache.pages[layer], self.slot_mapping >= 0
            assert torch.equal(there, self.seq_lens > 0)
            self.cache.keep(layer, k[there], v[there], self.slot_mapping[there])
            table, lengths = self.block_table[there], self.seq_lens[there]
            starts = torch.arange(len(lengths) + 1, dtype=torch.int32)
            out = torch.zeros_like(q)
            out[there] = naive_paged_attention(q[there], pages.k, pages.v, table, lengths, starts, 1, window=window)
            return out

    return TorchBatch


TorchBatch = torch_batch(StaticBatch)


def as_it_is(call):
    """In the place of a recorder."""
    return call


def padded_steps(loop, cache, most, max_length):
    """DecodeGraphs as an engine makes them, recorded where there is a GPU for it."""
    if cache.device.type == "cuda":
        return DecodeGraphs(loop, cache, graph_sizes(most), max_length)
    return DecodeGraphs(loop, cache, graph_sizes(most), max_length, record=as_it_is, make_batch=TorchBatch)
