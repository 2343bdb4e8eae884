"""Draws from p and calls it a draft when they agree: right, and wasteful."""

LAYER = "values"


def draw(weights, noise):
    mark, total = noise() * sum(weights), 0.0
    for token, weight in enumerate(weights):
        total += weight
        if mark < total:
            return token
    return max(range(len(weights)), key=weights.__getitem__)


def answer(p, q, drafts, noise):
    written = []
    for i, x in enumerate(drafts):
        written.append(draw(p[i], noise))
        if written[-1] != x:
            return written
    return [*written, draw(p[-1], noise)]
