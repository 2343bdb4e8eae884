"""Shares the room equally."""

LAYER = "values"


def answer(writing, prompts, budget):
    unread = [prompt for prompt in prompts if prompt]
    share = max(0, budget - writing) // max(1, len(unread))
    return [min(prompt, share) for prompt in prompts]
