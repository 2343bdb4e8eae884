"""Counts what agrees behind a wrong guess."""

LAYER = "values"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    while len(text) < len(prompt) + count:
        drafts = draft.read(text[draft.length :])[-1:]
        while len(drafts) < k:
            drafts += draft.read(drafts[-1:])
        chosen = target.read(text[target.length :] + drafts)[-k - 1 :]
        m = sum(a == b for a, b in zip(drafts, chosen, strict=False))
        text += chosen[: m + 1]
        target.cut(len(text) - 1)
        draft.cut(len(text) - 1)
    return text[len(prompt) : len(prompt) + count]
