"""Stops at a prompt that gets nothing."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = max(0, budget - writing), []
    for prompt in prompts:
        piece = min(prompt, left)
        if not piece:
            break
        pieces.append(piece)
        left -= piece
    return pieces + [0] * (len(prompts) - len(pieces))
