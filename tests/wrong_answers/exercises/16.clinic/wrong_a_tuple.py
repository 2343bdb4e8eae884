"""Returns a tuple."""

LAYER = "contract"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    while len(text) < len(prompt) + count:
        text.append(target.read(text[target.length :])[-1])
    return tuple(text[len(prompt) :])
