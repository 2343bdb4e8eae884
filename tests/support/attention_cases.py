"""The definition of attention as plain loops, and the inputs it is asked about: shapes, options, memory layouts.

Python floats and loops over batch, head, query and key: slow, and hard to get wrong.
"""

import math
from itertools import product

import torch


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def loop_attention(q, k, v, *, causal=False, window=None, softcap=0.0, sinks=None, scale=None):
    """The definition, one number at a time: returns out (B, L, H, D) and lse (B, H, L) in float64."""
    (B, L, H, D), (_, S, G, _) = q.shape, k.shape
    queries, keys, values = q.double().tolist(), k.double().tolist(), v.double().tolist()
    out, lse = torch.zeros(B, L, H, D, dtype=torch.float64), torch.empty(B, H, L, dtype=torch.float64)
    for b, i, h in product(range(B), range(L), range(H)):
        g = h // (H // G)
        terms = []
        for j in range(S):
            ahead = j - (i + S - L)
            if (causal and ahead > 0) or (window is not None and ahead <= -window):
                continue
            score = dot(queries[b][i][h], keys[b][j][g]) * (D**-0.5 if scale is None else scale)
            terms.append((softcap * math.tanh(score / softcap) if softcap else score, values[b][j][g]))
        logits = [score for score, _ in terms] + ([] if sinks is None else [sinks[h].item()])
        highest = max(logits, default=0.0)
        total = math.fsum(math.exp(x - highest) for x in logits)
        lse[b, h, i] = highest + math.log(total) if total else -math.inf
        for d in range(D if terms else 0):
            out[b, i, h, d] = math.fsum(math.exp(score - highest) * value[d] for score, value in terms) / total
    return out, lse


def tensors(L, S, H=4, G=2, D=8, B=2, dtype=torch.float64, seed=0, size=1.0):
    """Random q (B, L, H, D), k and v (B, S, G, D) from one seed."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (
        torch.randn(B, *shape, generator=generator, dtype=torch.float64) for shape in ((L, H, D), (S, G, D), (S, G, D))
    )
    return (q * size).to(dtype), k.to(dtype), v.to(dtype)


def some_sinks(H, dtype=torch.float64):
    return torch.linspace(-1.5, 2.0, H, dtype=dtype)


def assert_close(got, want, tolerance, where=""):
    """Equal within `tolerance` absolutely and relatively, with infinities and shapes equal and no NaN."""
    assert got.shape == want.shape, f"{where}: shape {tuple(got.shape)}, want {tuple(want.shape)}"
    torch.testing.assert_close(
        got.double(), want.double(), atol=tolerance, rtol=tolerance, msg=lambda text: f"{where}: {text}"
    )


def option_plans(supported):
    """Combinations of options, those that the form has."""
    plans = [
        {},
        {"causal": True},
        {"window": 2},
        {"causal": True, "window": 5},
        {"causal": True, "softcap": 1.5},
        {"causal": True, "sinks": True, "window": 3},
        {"scale": 0.7, "sinks": True},
        {"causal": True, "scale": 0.3},
        {"causal": True, "window": 1},
        {"causal": True, "window": 4, "softcap": 0.8, "sinks": True, "scale": -0.4},
    ]
    return [plan for plan in plans if supported.issuperset(plan)]


def with_sinks(plan, H):
    return {**plan, "sinks": some_sinks(H)} if plan.get("sinks") else plan


def packed(x):
    """The middle third of a packed QKV tensor: (B, L, 3, H, D)."""
    memory = x.new_full((*x.shape[:2], 3, *x.shape[2:]), math.nan)
    memory[:, :, 1] = x
    return memory[:, :, 1]


def heads_first(x):
    """Stored (B, H, L, D), seen (B, L, H, D)."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def every_other(x):
    """No axis contiguous, the last least of all."""
    memory = x.new_full([2 * n for n in x.shape], math.nan)
    memory[::2, 1::2, ::2, 1::2] = x
    return memory[::2, 1::2, ::2, 1::2]


def padded(x):
    """A window into memory with NaN on every side."""
    memory = x.new_full([n + 3 for n in x.shape], math.nan)
    inside = memory[1:-2, 2:-1, 1:-2, 2:-1]
    inside.copy_(x)
    return inside
