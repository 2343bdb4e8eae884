"""After the prefill, the prompt's last token is read again."""

import torch

LAYER = "values"


def answer(model, token_ids, max_tokens):
    cache = model.new_cache(1, len(token_ids) + max_tokens + 1)
    model(torch.tensor([token_ids]), cache)
    unread, written = list(token_ids[-1:]), []
    for _ in range(max_tokens):
        unread = [int(model(torch.tensor([unread]), cache)[0, -1].argmax())]
        written += unread
    return written
