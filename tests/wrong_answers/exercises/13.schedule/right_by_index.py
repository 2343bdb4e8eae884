"""Indices instead of a list that shrinks."""


def answer(running, waiting, budget, max_running, free_blocks, block_size):
    def pages(tokens):
        return (tokens + block_size - 1) // block_size

    stop, i, shares = len(running), 0, {}
    while i < stop and budget > 0:
        work = running[i]
        tokens = min(budget, work.known - work.computed)
        short = pages(work.computed + tokens) - work.blocks - free_blocks
        if short > 0:
            stop -= 1
            free_blocks += running[stop].blocks
            continue
        shares[work.name] = tokens
        budget -= tokens
        free_blocks = -short
        i += 1
    sent_back = [work.name for work in running[stop:]]
    if not sent_back:
        for place, work in enumerate(waiting, start=stop):
            tokens = min(budget, work.known)
            if place >= max_running or tokens == 0 or pages(tokens) > free_blocks:
                break
            shares[work.name] = tokens
            budget -= tokens
            free_blocks -= pages(tokens)
    return shares, sent_back
