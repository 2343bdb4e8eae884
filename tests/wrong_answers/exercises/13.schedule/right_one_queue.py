"""Running and waiting are one line; those who wait hold no pages."""

from collections import deque
from itertools import chain


def answer(running, waiting, budget, max_running, free_blocks, block_size):
    stay, shares, sent_back = deque(running), {}, []
    line = chain(running, waiting)
    for places, work in enumerate(line):
        if work.name in sent_back or budget == 0:
            break
        runs = places < len(running)
        if not runs and (sent_back or places >= max_running):
            break
        tokens = min(work.known - work.computed, budget)
        need = -(-(work.computed + tokens) // block_size) - work.blocks
        while runs and need > free_blocks and work.name not in sent_back:
            last = stay.pop()
            sent_back.append(last.name)
            free_blocks += last.blocks
        if work.name in sent_back or need > free_blocks:
            break
        shares[work.name] = tokens
        budget -= tokens
        free_blocks -= need
    return shares, sent_back
