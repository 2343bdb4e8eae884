"""Does not guess at all: right, one token a pass."""

LAYER = "resources"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    while len(text) < len(prompt) + count:
        text.append(target.read(text[target.length :])[-1])
    return text[len(prompt) :]
