"""Takes the kept text's last block although it is not full."""

LAYER = "values"


def answer(kept, prompt, block_size):
    tokens = 0
    while tokens < min(len(kept), len(prompt) - block_size):
        block = kept[tokens : tokens + block_size]
        if prompt[tokens : tokens + len(block)] != block:
            break
        tokens += block_size
    return tokens
