"""Tiles a run without rounding up."""

LAYER = "values"


def answer(programs, processors, key_tiles):
    if programs >= 0.8 * processors or key_tiles <= 4:
        return 1

    def share(n):
        waves = -(-programs * n // processors)
        return programs * key_tiles / (processors * waves * key_tiles / n)

    shares = [share(n) for n in range(1, min(processors, key_tiles) + 1)]
    return next(n for n, reached in enumerate(shares, 1) if reached >= 0.85 * max(shares))
