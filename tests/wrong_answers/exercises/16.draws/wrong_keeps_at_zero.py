"""At most in place of less than: a noise of 0 keeps a token that the target excludes."""

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
        if noise() * q[i][x] <= p[i][x]:
            continue
        return [*drafts[:i], draw([max(0.0, a - b) for a, b in zip(p[i], q[i], strict=True)], noise)]
    return [*drafts, draw(p[-1], noise)]
