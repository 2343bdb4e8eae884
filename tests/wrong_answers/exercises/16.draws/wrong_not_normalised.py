"""Draws from the surplus as if it summed to 1: what is missing falls on the last token."""

LAYER = "values"


def draw(weights, noise):
    mark, total = noise() * sum(weights), 0.0
    for token, weight in enumerate(weights):
        total += weight
        if mark < total:
            return token
    return max(range(len(weights)), key=weights.__getitem__)


def answer(p, q, drafts, noise):
    for i, x in enumerate(drafts):
        if noise() * q[i][x] < p[i][x]:
            continue
        mark, total, token = noise(), 0.0, -1
        while token < len(p[i]) - 1 and mark >= total:
            token += 1
            total += max(0.0, p[i][token] - q[i][token])
        return [*drafts[:i], token]
    return [*drafts, draw(p[-1], noise)]
