"""Prompts come before those who write: who writes may wait for ever."""

LAYER = "values"


def answer(running, waiting, budget, max_running, free_blocks, block_size):
    running, shares, sent_back, i = list(running), {}, [], 0
    prompts = [w for w in waiting if w.known <= budget][: max_running - len(running)]
    for work in prompts:
        if -(-work.known // block_size) > free_blocks or work.known > budget:
            break
        shares[work.name] = work.known
        budget, free_blocks = budget - work.known, free_blocks - -(-work.known // block_size)
    waiting = ()
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
    for work in () if sent_back else waiting:
        tokens = min(work.known, budget)
        more = -(-tokens // block_size)
        if not tokens or more > free_blocks or len(running) == max_running:
            break
        shares[work.name] = tokens
        running.append(work)
        budget, free_blocks = budget - tokens, free_blocks - more
    return shares, sent_back
