"""Rounds pieces down to pages of 16."""

LAYER = "values"


def answer(writing, prompts, budget):
    left, pieces = max(0, budget - writing), []
    for prompt in prompts:
        piece = min(prompt, left)
        piece -= piece % 16 if piece < prompt else 0
        pieces.append(piece)
        left -= piece
    return pieces
