"""Right odds, but gives up half of the drafts that it could keep."""

LAYER = "resources"


def draw(weights, noise):
    mark, total = noise() * sum(weights), 0.0
    for token, weight in enumerate(weights):
        total += weight
        if mark < total:
            return token
    return max(range(len(weights)), key=weights.__getitem__)


def answer(p, q, drafts, noise):
    for i, x in enumerate(drafts):
        share = 1.0 if p[i] == q[i] or 1.0 in p[i] or 0.0 in p[i] else 0.5
        if noise() * q[i][x] < share * min(p[i][x], q[i][x]):
            continue
        return [*drafts[:i], draw([a - share * min(a, b) for a, b in zip(p[i], q[i], strict=True)], noise)]
    return [*drafts, draw(p[-1], noise)]
