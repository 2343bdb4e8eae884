"""Cuts both memories to what they share with the text before they read."""


def answer(target, draft, prompt, count, k):
    text = list(prompt)
    while len(text) - len(prompt) < count:
        for reader in (target, draft):
            reader.cut(min(reader.length, len(text) - 1))
        guesses, new = [], text[draft.length :]
        for _ in range(k):
            guesses.append(draft.read(new)[-1])
            new = guesses[-1:]
        rows = target.read(text[target.length :] + guesses)[-(k + 1) :]
        for guess, row in zip([*guesses, None], rows, strict=True):
            text.append(row)
            if guess != row:
                break
    return text[len(prompt) :][:count]
