"""What any form of attention must get right, as named checks that take the function under test.

Each check raises AssertionError when the function is wrong; `CHECKS` lists them with the options a form must have to be
asked. The expected values come from `attention_cases.loop_attention`, which shares no code with the package.
"""

from itertools import cycle, product

import torch
from attention_cases import (
    assert_close,
    every_other,
    heads_first,
    loop_attention,
    option_plans,
    packed,
    padded,
    some_sinks,
    tensors,
    with_sinks,
)

LENGTHS = (1, 3, 7, 16, 33)
HEADS = ((4, 4), (4, 2), (6, 2), (5, 1))
CHECKS = {}


def check(*needs):
    """Register a check under its own name, with the options it needs."""

    def register(function):
        CHECKS[function.__name__] = (function, frozenset(needs))
        return function

    return register


@check()
def values(attention, supported):
    """Every pair of awkward lengths and head counts, the options going round."""
    plans = cycle(option_plans(supported))
    for (L, S), (H, G) in product(product(LENGTHS, LENGTHS), HEADS):
        q, k, v = tensors(L, S, H, G, D=4, B=1, seed=L * 40 + S)
        options = with_sinks(next(plans), H)
        got, want = attention(q, k, v, **options), loop_attention(q, k, v, **options)[0]
        assert_close(got, want, 1e-12, f"L={L} S={S} H={H} G={G} {options}")


@check()
def options_together(attention, supported):
    """Every option plan on short, long and square calls, in two batches, at a width no tile divides."""
    for (L, S), plan in product(((1, 7), (3, 7), (7, 3), (5, 5), (4, 3), (1, 1)), option_plans(supported)):
        q, k, v = tensors(L, S, 6, 2, D=10, seed=3)
        options = with_sinks(plan, 6)
        assert_close(attention(q, k, v, **options), loop_attention(q, k, v, **options)[0], 1e-12, f"{L}x{S} {options}")


@check("causal")
def bottom_right(attention, supported):
    """The last query stands at the last key, whichever side is longer."""
    for L, S in ((3, 7), (7, 3), (2, 16), (1, 5)):
        q, k, v = tensors(L, S)
        assert_close(attention(q, k, v, causal=True), loop_attention(q, k, v, causal=True)[0], 1e-12, f"L={L} S={S}")


@check()
def neighbours_share(attention, supported):
    """With values that name their head, query head h reads key/value head h // (H / G)."""
    for H, G in ((4, 2), (6, 3), (6, 2), (5, 1)):
        q, k, _ = tensors(3, 5, H, G)
        v = torch.arange(G, dtype=torch.float64)[:, None].expand(2, 5, G, 8)
        want = torch.tensor([h // (H // G) for h in range(H)], dtype=torch.float64)
        assert_close(attention(q, k, v), want[:, None].expand(2, 3, H, 8), 1e-12, f"H={H} G={G}")


@check()
def default_scale(attention, supported):
    """Scores are divided by the square root of the head width."""
    q, k, v = tensors(3, 5, D=80, B=1)
    assert_close(attention(q, k, v), loop_attention(q, k, v)[0], 1e-12, "D=80")


@check("causal", "window")
def window_counts_keys(attention, supported):
    """With equal scores and values that name their key, the output is the mean position of exactly `window` keys."""
    S = 9
    v = torch.arange(S, dtype=torch.float64)[None, :, None, None].expand(1, S, 1, 4)
    for L, window in product((1, 4, 9), (1, 2, 5, 8, 9, 20)):
        q, k = torch.zeros(1, L, 1, 4, dtype=torch.float64), torch.ones(1, S, 1, 4, dtype=torch.float64)
        for causal in (True, False):
            ends = [(max(0, p - window + 1), p if causal else S - 1) for p in range(S - L, S)]
            want = torch.tensor([(a + b) / 2 for a, b in ends], dtype=torch.float64)[None, :, None, None]
            got = attention(q, k, v, causal=causal, window=window)
            assert_close(got, want.expand(1, L, 1, 4), 1e-12, f"L={L} window={window} causal={causal}")


@check("causal", "softcap")
def cap_then_mask(attention, supported):
    """A hidden key stays hidden under a cap: its value, however large, never shows."""
    q, k, v = tensors(5, 5, size=3.0)
    v[:, -1] = 1e6
    options = {"causal": True, "softcap": 2.0}
    assert_close(attention(q, k, v, **options), loop_attention(q, k, v, **options)[0], 1e-9, "cap and mask")


@check("sinks")
def sinks_have_no_value(attention, supported):
    """With values of one, the output is what the sinks left over: sum(e) / (sum(e) + exp(sink))."""
    q, k, v = tensors(3, 7)
    sinks, lse = some_sinks(4), loop_attention(q, k, v)[1]
    want = torch.sigmoid(lse - sinks[:, None]).transpose(1, 2)[..., None].expand(2, 3, 4, 8)
    assert_close(attention(q, k, torch.ones_like(v), sinks=sinks), want, 1e-12, "sinks")


@check("return_lse")
def natural_log_lse(attention, supported):
    """lse (B, H, L) is the natural logarithm of each row's sum, sinks included, -inf for a row that sees nothing."""
    for (L, S), plan in product(((1, 7), (3, 7), (7, 3), (4, 0)), option_plans(supported)):
        q, k, v = tensors(L, S)
        options = with_sinks(plan, 4)
        _, lse = attention(q, k, v, return_lse=True, **options)
        assert_close(lse, loop_attention(q, k, v, **options)[1], 1e-12, f"lse {L}x{S} {options}")


@check("causal")
def ones_stay_one(attention, supported):
    """Probabilities sum to one, so values of one come out as one."""
    for dtype, tolerance in (
        (torch.float64, 1e-14),
        (torch.float32, 1e-6),
        (torch.bfloat16, 0.0),
        (torch.float16, 0.0),
    ):
        q, k, v = tensors(16, 33, dtype=dtype, size=4.0)
        got = attention(q, k, torch.ones_like(v), causal=True)
        assert got.dtype == dtype
        assert_close(got, torch.ones_like(got), tolerance, str(dtype))


@check("causal")
def large_logits(attention, supported):
    """Logits of plus and minus 100 neither overflow nor lose the answer."""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        q, k, v = tensors(7, 16, dtype=dtype)
        q = q * 100 / (q.double() @ k.double().mean(1, keepdim=True).transpose(-1, -2)).abs().max().to(dtype)
        q[:, 3:] *= -1
        assert_close(attention(q, k, v, causal=True), loop_attention(q, k, v, causal=True)[0], tolerance, str(dtype))


@check("causal")
def blind_rows(attention, supported):
    """Rows that see nothing give exactly 0, and their gradients are finite and zero."""
    for L, S in ((7, 3), (4, 0), (5, 1)):
        for plan in option_plans(supported):
            q, k, v = (x.requires_grad_() for x in tensors(L, S))
            options = {**with_sinks(plan, 4), "causal": True}
            out = attention(q, k, v, **options)
            assert out[:, : L - S].eq(0).all(), f"{L}x{S} {options}: a blind row is not 0"
            if not out.requires_grad:
                continue  # with no key at all, a constant 0 is as right as a 0 that remembers q
            gradients = torch.autograd.grad(out.square().sum(), (q, k, v))
            assert all(g.isfinite().all() for g in gradients), f"{L}x{S} {options}: a gradient is not finite"
            assert gradients[0][:, : L - S].eq(0).all()


@check("causal")
def strided_views(attention, supported):
    """Views of packed and padded memory, K and V with different strides, NaN in everything that is not theirs."""
    for D in (8, 80):
        q, k, v = tensors(3, 7, D=D)
        want = loop_attention(q, k, v, causal=True)[0]
        for lay_out in (packed, heads_first, every_other):
            views = lay_out(q), lay_out(k), padded(v)
            assert_close(attention(*views, causal=True), want, 1e-12, f"D={D} {lay_out.__name__}")
            one = views[0][:, -1:], views[1], views[2]
            assert_close(attention(*one, causal=True), want[:, -1:], 1e-12, f"one query, D={D} {lay_out.__name__}")


@check("causal", "window")
def gradients(attention, supported):
    """Autograd agrees with finite differences in float64, for every input and every option plan."""
    for (L, S), plan in product(((2, 4), (4, 2), (1, 3)), option_plans(supported)):
        inputs = [x.requires_grad_() for x in tensors(L, S, 2, 1, D=3, B=1)]
        plan = dict(plan)
        if plan.pop("sinks", False):
            inputs.append(some_sinks(2).requires_grad_())
        wants_lse = "return_lse" in supported and L <= S

        def run(q, k, v, sinks=None, plan=plan, wants_lse=wants_lse):
            return attention(
                q,
                k,
                v,
                **plan,
                **({} if sinks is None else {"sinks": sinks}),
                **({"return_lse": True} if wants_lse else {}),
            )

        assert torch.autograd.gradcheck(run, inputs, raise_exception=False), f"{L}x{S} {plan}"


@check()
def half_precision(attention, supported):
    """Half-precision inputs lose one rounding, not an accumulation: the error stays below 0.8 of working in half."""
    for dtype in (torch.bfloat16, torch.float16):
        q, k, v = tensors(33, 65, D=80, B=1, dtype=dtype)
        want = loop_attention(q, k, v)[0]
        scores = (q.transpose(1, 2) @ k.repeat_interleave(2, 2).permute(0, 2, 3, 1)) * 80**-0.5
        in_half = (scores.softmax(-1) @ v.repeat_interleave(2, 2).transpose(1, 2)).transpose(1, 2)
        error, allowed = ((x.double() - want).square().mean().sqrt() for x in (attention(q, k, v), in_half))
        assert error <= 0.8 * allowed, f"{dtype}: error {error:.2e}, working in half {allowed:.2e}"
