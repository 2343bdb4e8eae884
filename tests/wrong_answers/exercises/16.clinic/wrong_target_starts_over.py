"""Cuts the target to nothing and reads the text again."""

LAYER = "resources"


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    while len(text) < len(prompt) + count:
        drafts = draft.read(text[draft.length :])[-1:]
        while len(drafts) < k:
            drafts += draft.read(drafts[-1:])
        chosen = target.read(text[target.length :] + drafts)[-k - 1 :]
        m = next((i for i in range(k) if drafts[i] != chosen[i]), k)
        text += chosen[: m + 1]
        target.cut(0)
        draft.cut(len(text) - 1)
    return text[len(prompt) : len(prompt) + count]
