"""The dense caches on a GPU: lengths stay on the CPU, keys and values do not, and the text is the CPU's."""

from copy import deepcopy

import pytest
import torch
from cached_texts import decoder, read, relative, text

NAME = "qwen2 window"
KINDS = {
    "contiguous": lambda model: model.new_cache(2, 64),
    "ring": lambda model: model.new_ring_cache(2, 64, slack=30),
}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_as_on_a_cpu(kind):
    model, ids = deepcopy(decoder(NAME)).cuda(), text(33, seed=1, batch=2)
    got = read(model, ids.cuda(), KINDS[kind](model), [7, 1, 1, 20, *[1] * 4])
    assert relative(got.cpu(), decoder(NAME)(ids)) <= 1e-12


@pytest.mark.gpu
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_ragged_rows_on_a_gpu(kind, count):
    model, ids, new = deepcopy(decoder(NAME)).cuda(), text(30, seed=1, batch=2), text(count, seed=9, batch=2)
    cache = KINDS[kind](model)
    model(ids.cuda(), cache)
    cache.truncate([30, 11])
    got = model(new.cuda(), cache).cpu()
    for row, length in enumerate((30, 11)):
        whole = torch.cat((ids[row, :length], new[row]))
        assert relative(got[row], decoder(NAME)(whole[None])[0, -count:]) <= 1e-12
    assert cache.lengths.device.type == "cpu"
