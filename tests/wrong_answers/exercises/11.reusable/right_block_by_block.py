"""Block by block, longest first."""


def answer(kept, prompt, block_size):
    for blocks in range((len(prompt) - 1) // block_size, 0, -1):
        n = blocks * block_size
        if kept[:n] == prompt[:n]:
            return n
    return 0
