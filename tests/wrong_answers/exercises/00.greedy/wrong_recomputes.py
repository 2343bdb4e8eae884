"""The naive loop: right tokens, all the work."""

import torch

LAYER = "resources"


def answer(model, token_ids, max_tokens):
    ids = list(token_ids)
    for _ in range(max_tokens):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(token_ids) :]
