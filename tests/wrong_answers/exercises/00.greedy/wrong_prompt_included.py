"""Returns the prompt too."""

import torch

LAYER = "values"


def answer(model, token_ids, max_tokens):
    cache = model.new_cache(1, len(token_ids) + max_tokens)
    unread, ids = list(token_ids), list(token_ids)
    for _ in range(max_tokens):
        unread = [int(model(torch.tensor([unread]), cache)[0, -1].argmax())]
        ids += unread
    return ids
