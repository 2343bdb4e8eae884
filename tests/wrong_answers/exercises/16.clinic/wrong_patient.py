"""The patient, unmended."""

LAYER = "values"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    target.read(text[:-1]), draft.read(text[:-1])
    while len(text) < len(prompt) + count:
        shown = text[-1:]
        for _ in range(k):
            shown += draft.read(shown[-1:])
        chosen = target.read(shown)
        m = sum(a == b for a, b in zip(shown[1:], chosen, strict=False))
        text += chosen[: m + 1]
    return text[len(prompt) :]
