"""Right answers to lesson 06, by the id of their check. Each can stand in for the lesson's stub."""

import torch


def softmax_backward(p, dp):
    return p * (dp - (p * dp).sum(-1, keepdim=True))


def delta(out, dout):
    wide = torch.promote_types(out.dtype, torch.float32)
    return (out.to(wide) * dout.to(wide)).sum(-1)


def dkdv(k, v, q, dout, lse, delta, scale, block_l):
    dk, dv = torch.zeros_like(k), torch.zeros_like(v)
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)  # rows that saw nothing: every p is 0
    for head in range(q.shape[1]):
        for first in range(0, len(q), block_l):
            rows = slice(first, first + block_l)
            p = torch.exp(q[rows, head] @ k.T * scale - lse[head, rows, None])
            dv += p.T @ dout[rows, head]
            ds = p * (dout[rows, head] @ v.T - delta[head, rows, None])
            dk += ds.T @ q[rows, head]
    return dk * scale, dv


def mended(q, k, v, dout, out, lse, scale, tile):
    (L, H, _), (S, G, _) = q.shape, k.shape
    delta = (out * dout).sum(-1)  # (L, H)
    lse = lse.masked_fill(lse == -torch.inf, torch.inf)
    dq, dk, dv = map(torch.zeros_like, (q, k, v))
    for h in range(H):
        g = h // (H // G)
        for keys in torch.arange(S).split(tile):
            seen = keys <= torch.arange(L)[:, None] + S - L
            s = (q[:, h] @ k[keys, g].T * scale).masked_fill(~seen, -torch.inf)
            p = torch.exp(s - lse[h, :, None])
            ds = p * (dout[:, h] @ v[keys, g].T - delta[:, h, None])
            dv[keys, g] += p.T @ dout[:, h]
            dk[keys, g] += ds.T @ q[:, h] * scale
            dq[:, h] += ds @ k[keys, g] * scale
    return dq, dk, dv


SOLUTIONS = {
    "06.softmax_backward": softmax_backward,
    "06.delta": delta,
    "06.dkdv": dkdv,
    "06.clinic": mended,
}
