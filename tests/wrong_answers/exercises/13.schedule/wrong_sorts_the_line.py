"""Sorts everybody who waits by arrival, at every step."""

LAYER = "resources"


def answer(running, waiting, budget, max_running, free_blocks, block_size):
    running, shares, sent_back, i = list(running), {}, [], 0
    while i < len(running) and budget:
        work = running[i]
        tokens = min(work.known - work.computed, budget)
        more = -(-(work.computed + tokens) // block_size) - work.blocks
        while more > free_blocks and len(running) > i:
            last = running.pop()
            sent_back.append(last.name)
            free_blocks += last.blocks
        if i < len(running):
            shares[work.name] = tokens
            budget, free_blocks, i = budget - tokens, free_blocks - more, i + 1
    for work in [] if sent_back else sorted(waiting, key=lambda work: 0):
        tokens = min(work.known, budget)
        more = -(-tokens // block_size)
        if not tokens or more > free_blocks or len(running) == max_running:
            break
        shares[work.name] = tokens
        running.append(work)
        budget, free_blocks = budget - tokens, free_blocks - more
    return shares, sent_back
