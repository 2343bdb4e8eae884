"""The prefill's token is not counted."""

import torch

LAYER = "values"


def answer(model, token_ids, max_tokens):
    cache = model.new_cache(1, len(token_ids) + max_tokens)
    unread = [int(model(torch.tensor([token_ids]), cache)[0, -1].argmax())]
    written = list(unread)
    for _ in range(max_tokens):
        unread = [int(model(torch.tensor([unread]), cache)[0, -1].argmax())]
        written += unread
    return written
