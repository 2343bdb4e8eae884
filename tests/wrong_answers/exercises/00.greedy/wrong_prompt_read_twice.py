"""Fills the cache, then reads the prompt once more without it for the first token."""

import torch

LAYER = "resources"


def answer(model, token_ids, max_tokens):
    cache = model.new_cache(1, len(token_ids) + max_tokens)
    model(torch.tensor([token_ids]), cache)
    written = [int(model(torch.tensor([token_ids]))[0, -1].argmax())]
    while len(written) < max_tokens:
        written.append(int(model(torch.tensor([written[-1:]]), cache)[0, -1].argmax()))
    return written
