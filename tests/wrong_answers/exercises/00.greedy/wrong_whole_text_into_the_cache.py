"""Appends the whole text to the cache at every pass, so that it holds everything many times."""

import torch

LAYER = "values"


def answer(model, token_ids, max_tokens):
    cache, ids = model.new_cache(1, 256), list(token_ids)
    for _ in range(max_tokens):
        cache.truncate(min(cache.length, 256 - len(ids)))
        ids.append(int(model(torch.tensor([ids]), cache)[0, -1].argmax()))
    return ids[len(token_ids) :]
