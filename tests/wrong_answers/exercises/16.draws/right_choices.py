"""The accepted share, then random.choices seeded by the noise."""

import random


def answer(p, q, drafts, noise):
    def choose(weights):
        return random.Random(noise()).choices(range(len(weights)), weights)[0]

    for i, x in enumerate(drafts):
        if noise() >= min(1.0, p[i][x] / q[i][x]):
            return [*drafts[:i], choose([max(0.0, a - b) for a, b in zip(p[i], q[i], strict=True)])]
    return [*drafts, choose(p[-1])]
