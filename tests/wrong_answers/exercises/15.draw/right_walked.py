"""Walks along each row."""


def answer(probabilities, noises):
    tokens = []
    for row, noise in zip(probabilities.tolist(), noises, strict=True):
        token, reached, mark = 0, row[0], noise * sum(row)
        while reached <= mark:
            token += 1
            reached += row[token]
        tokens.append(token)
    return tokens
