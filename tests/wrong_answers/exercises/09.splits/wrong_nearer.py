"""Takes the fewest within 0.9 of the best."""

LAYER = "values"


def answer(programs, processors, key_tiles):
    if programs >= 0.8 * processors or key_tiles <= 4:
        return 1
    steps = {n: -(-programs * n // processors) * -(-key_tiles // n) for n in range(1, min(processors, key_tiles) + 1)}
    return next(n for n, taken in steps.items() if 0.9 * taken <= min(steps.values()))
