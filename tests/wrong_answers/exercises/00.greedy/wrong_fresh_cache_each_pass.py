"""A cache in name only: emptied and filled again for every token."""

import torch

LAYER = "resources"


def answer(model, token_ids, max_tokens):
    ids = list(token_ids)
    for _ in range(max_tokens):
        cache = model.new_cache(1, len(ids))
        ids.append(int(model(torch.tensor([ids]), cache)[0, -1].argmax()))
    return ids[len(token_ids) :]
