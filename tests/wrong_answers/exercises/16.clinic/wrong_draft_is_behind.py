"""Mends the target's side only: after a pass that is all right the draft lacks its own last guess."""

LAYER = "resources"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    target.read(text[:-1]), draft.read(text[:-1])
    while len(text) < len(prompt) + count:
        shown = text[-1:]
        for _ in range(k):
            shown += draft.read(shown[-1:])
        chosen = target.read(shown)
        m = next((i for i in range(k) if shown[i + 1] != chosen[i]), k)
        text += chosen[: m + 1]
        target.cut(len(text) - 1)
        draft.cut(len(text) - 1)
    return text[len(prompt) : len(prompt) + count]
