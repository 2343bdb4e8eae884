"""From scores to the next token: temperature, top-k, top-p, and noise that depends on nothing but its own address.

A score is divided by the temperature, unlikely tokens are cut away, and one of the rest is drawn. The draw is a function of
(seed, sample, position), so a text does not change with its neighbours in a batch, with preemption or with speculation.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Tensor:
    """logits (..., V) -> probabilities (..., V) float32 after temperature, then top-k, then top-p.

    Temperature 0 puts everything on the best token, the lowest id among equals. `top_k` keeps the k best; `top_p` the fewest
    best whose probability reaches p (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020), measured on what
    top-k left. Values are trusted; SamplingParams checks them.
    """
    logits = logits.float()
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).float()
    # Shifted before it is divided, so that a temperature of 1e-6 gives a limit and not an overflow; one too small for
    # float32 would count as 0 there, and 0 / 0 is no limit.
    temperature = max(temperature, torch.finfo(torch.float32).tiny)
    probabilities = ((logits - logits.amax(dim=-1, keepdim=True)) / temperature).softmax(dim=-1)
    if top_k is None and top_p >= 1:
        return probabilities
    sorted_probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
    keep = torch.ones_like(sorted_probabilities, dtype=torch.bool)
    if top_k is not None:
        keep[..., top_k:] = False
    kept = sorted_probabilities * keep
    if top_p < 1:
        # Keep a token while the mass before it is short of p: the one that crosses the line stays, and so does the first.
        before = kept.cumsum(dim=-1) - kept
        keep &= before < top_p * kept.sum(dim=-1, keepdim=True)
        keep[..., 0] = True  # even where top_p times the sum is too small for float32
        kept = sorted_probabilities * keep
    kept /= kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(-1, order, kept)


def uniform_noise(seed: int, sample: int, position: int) -> float:
    """A number in [0, 1), the same for the same (seed, sample index, position) on every machine.

    Counter-based: a hash of the address, with no state to advance (the idea of Salmon et al., "Parallel Random Numbers: As
    Easy as 1, 2, 3", 2011).
    """
    digest = hashlib.blake2b(f"{seed}/{sample}/{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def sample_token(logits: Tensor, temperature: float, top_k: int | None, top_p: float, noise: float) -> int:
    """logits (V,) and noise in [0, 1) -> a token id, by inverting the cumulative distribution at `noise`.

    Tokens are laid out in order of id and summed in float64, so the same logits and noise give the same token, but for
    rounding in the softmax. At temperature 0 the noise is not read.
    """
    if temperature == 0:
        return int(logits.argmax())
    probabilities = next_token_probabilities(logits, temperature, top_k, top_p)
    cumulative = probabilities.double().cumsum(dim=-1)
    token = int(torch.searchsorted(cumulative, noise * cumulative[-1], right=True))
    return min(token, int(probabilities.nonzero()[-1]))
