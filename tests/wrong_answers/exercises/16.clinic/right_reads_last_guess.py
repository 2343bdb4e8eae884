"""The draft reads its last guess too, so that it is never behind."""


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    target.read(text[:-1])
    draft.read(text[:-1])
    while len(text) < len(prompt) + count:
        shown = text[-1:]
        for _ in range(k):
            shown += draft.read(shown[-1:])
        draft.read(shown[-1:])
        chosen = target.read(shown)
        m = next((i for i in range(k) if shown[i + 1] != chosen[i]), k)
        text += chosen[: m + 1]
        target.cut(len(text) - 1)
        draft.cut(len(text) - 1)
    return text[len(prompt) : len(prompt) + count]
