"""Right answers to lesson 09, by the id of their check. Each can stand in for the lesson's stub."""

import math

import torch


def runs(seq_len, num_splits, block_s):
    tiles = -(-seq_len // block_s)
    length = -(-tiles // num_splits) * block_s
    return [(min(i * length, seq_len), min((i + 1) * length, seq_len)) for i in range(num_splits)]


def merge(outs, lses):
    lse = lses.logsumexp(0)
    safe = torch.where(lse == -math.inf, 0.0, lse)
    shares = (lses - safe).exp()[..., None]  # (n, R, 1)
    return (shares * torch.where(shares == 0, 0.0, outs)).sum(0), lse


def splits(programs, processors, key_tiles):
    if programs >= 0.8 * processors or key_tiles <= 4:
        return 1

    def share(n):
        waves = -(-programs * n // processors)
        return programs * key_tiles / (processors * waves * -(-key_tiles // n))

    shares = [share(n) for n in range(1, min(processors, key_tiles) + 1)]
    return next(n for n, reached in enumerate(shares, 1) if reached >= 0.85 * max(shares))


def mended(q, k, v, num_splits):
    per, (R, D) = -(-len(k) // num_splits), q.shape
    outs, lses = q.new_zeros(num_splits, R, D), q.new_full((num_splits, R), -math.inf)
    for i in range(num_splits):
        keys, values = k[i * per : (i + 1) * per], v[i * per : (i + 1) * per]
        if len(keys) == 0:
            continue
        s = q @ keys.T / math.sqrt(D)
        m = s.amax(1)
        p = torch.exp(s - m[:, None])
        l = p.sum(1)
        outs[i], lses[i] = p @ values / l[:, None], m + l.log()
    return merge(outs, lses)[0]


SOLUTIONS = {"09.runs": runs, "09.merge": merge, "09.splits": splits, "09.clinic": mended}
