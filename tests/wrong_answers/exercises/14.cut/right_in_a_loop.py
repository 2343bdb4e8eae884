"""A running remainder."""


def answer(writing, prompts, budget):
    left, pieces = max(0, budget - writing), []
    for prompt in prompts:
        piece = min(prompt, left)
        pieces.append(piece)
        left -= piece
    return pieces
