"""The same by time: waves times tiles, as small as can be."""


def answer(programs, processors, key_tiles):
    if 10 * programs >= 8 * processors or key_tiles <= 4:
        return 1
    times = {}
    for n in range(1, min(processors, key_tiles) + 1):
        waves = (programs * n + processors - 1) // processors
        times[n] = waves * ((key_tiles + n - 1) // n)
    return min(n for n in times if 85 * times[n] <= 100 * min(times.values()))
