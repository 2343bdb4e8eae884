"""The patient as it came."""

import torch

LAYER = "values"


def answer(q, k, v, dout, out, lse, scale, tile):
    q, delta = q * scale, (out * dout).sum(-1)
    dq, dk, dv = map(torch.zeros_like, (q, k, v))
    for h in range(q.shape[1]):
        g = h * k.shape[1] // q.shape[1]
        for keys in torch.arange(len(k)).split(tile):
            hidden = keys > torch.arange(len(q))[:, None]
            s = (q[:, h] @ k[keys, g].T).masked_fill(hidden, -torch.inf)
            p = torch.exp(s - lse[h, :, None])
            ds = p * (dout[:, h] @ v[keys, g].T - delta[:, h, None])
            dv[keys, g] = p.T @ dout[:, h]
            dk[keys, g] = ds.T @ q[:, h] * scale
            dq[:, h] += ds @ k[keys, g] * scale
    return dq, dk, dv
