"""Awkward inputs for attention-like exercises: the shapes and values on which plausible answers differ from right ones.

Each maker seeds a generator of its own from its name, so a case is the same on every run and machine, and adding one
case moves no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch

from minillm.lab.checks.call import Given
from minillm.lab.checks.cases import Oracle, Values, given


def generator(purpose: str) -> torch.Generator:
    """A generator seeded by the words of its purpose."""
    return torch.Generator().manual_seed(zlib.crc32(purpose.encode()))


def normal(purpose: str, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A standard normal tensor of `shape`, drawn in float64 and rounded, for one purpose."""
    return torch.randn(*shape, generator=generator(purpose), dtype=torch.float64).to(dtype)


def strided(purpose: str, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Like `normal`, but a view with gaps in memory: every second element of the last axis, axes 1 and 2 swapped."""
    B, L, H, D = shape
    return normal(purpose, B, H, L, 2 * D, dtype=dtype)[..., ::2].transpose(1, 2)


def qkv(
    purpose: str,
    B: int = 2,
    L: int = 5,
    S: int | None = None,
    H: int = 3,
    G: int | None = None,
    D: int = 8,
    *,
    dtype: torch.dtype = torch.float32,
    maker: Callable[..., torch.Tensor] = normal,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """q (B, L, H, D), k and v (B, S, G, D); S is L and G is H unless given. Heads are distinct."""
    S, G = L if S is None else S, H if G is None else G
    return (
        maker(purpose + " q", B, L, H, D, dtype=dtype),
        maker(purpose + " k", B, S, G, D, dtype=dtype),
        maker(purpose + " v", B, S, G, D, dtype=dtype),
    )


def large_logits(
    purpose: str, B: int = 1, L: int = 4, S: int = 6, H: int = 2, G: int | None = None, D: int = 8
) -> Given:
    """Inputs whose scaled logits reach about ±100, where exp overflows float32 unless the maximum is taken off."""
    q, k, v = qkv(purpose, B, L, S, H, G, D)
    largest = torch.einsum("blhd,bshd->bhls", q, k.repeat_interleave(H // k.shape[2], dim=2)).abs().max() / D**0.5
    return given(q * (100 / largest), k, v)


@dataclass(frozen=True)
class Situation:
    """One named awkward situation for attention: its inputs, and what a learner should read when it fails."""

    name: str
    make: Callable[[], Given]
    meaning: str


def attention_situations(*, grouped: bool = False, causal: bool = True) -> list[Situation]:
    """The awkward situations every attention must survive; `grouped` shares each K/V head among query heads.

    The functions judged are called as f(q, k, v) or, if `causal`, also as f(q, k, v, causal=True).
    """
    H, G = (6, 2) if grouped else (3, 3)

    def situation(name: str, meaning: str, *, is_causal: bool = False, **shape: object) -> Situation:
        flags = {"causal": True} if is_causal else {}
        return Situation(name, lambda: given(*qkv(name, **{"H": H, "G": G, **shape}), **flags), meaning)  # type: ignore[arg-type]

    def loud() -> Given:
        return large_logits("large logits", H=H, G=G)

    plain = [
        situation(
            "plain",
            "Scores are q·k divided by the square root of D, softmax runs over the keys, and the weights mix v.",
        ),
        situation("odd lengths", "No length here is a multiple of 2: does the code assume one?", B=1, L=7, S=7, D=5),
        situation(
            "more keys than queries", "L and S are different numbers: one is used where the other belongs.", L=3, S=11
        ),
        situation(
            "more queries than keys", "L and S are different numbers: one is used where the other belongs.", L=9, S=4
        ),
        situation("one key", "With a single key its weight is 1, so the result is v itself, repeated.", L=4, S=1),
        situation("one query", "With a single query row, axes of size 1 must not be dropped.", L=1, S=6),
        situation(
            "strided views",
            "The inputs are views with gaps in memory: use operations that respect strides.",
            maker=strided,
        ),
        Situation("logits of ±100", loud, "exp of a large score overflows: subtract each row's maximum first."),
    ]
    masked = [
        situation("causal, square", "Query i may see key j only if j ≤ i.", is_causal=True, L=6),
        situation(
            "causal, more keys than queries",
            "Causal is aligned to the bottom right: query i sees key j if j ≤ i + S − L, so the last query sees every key.",
            is_causal=True,
            L=3,
            S=8,
        ),
        situation(
            "causal, rows that see nothing",
            "With L > S the first L − S rows see no key: their result is 0, not NaN.",
            is_causal=True,
            L=7,
            S=4,
        ),
        situation("causal, one query", "A lone last query sees every key.", is_causal=True, L=1, S=9),
    ]
    return plain + (masked if causal else [])


def attention_values(oracle: Oracle, *, grouped: bool = False, causal: bool = True) -> tuple[Values, ...]:
    """The situations as Values cases against `oracle(q, k, v, …)`; bad indices are told as batch, query, head, channel."""
    return tuple(
        Values(s.name, s.make, oracle, s.meaning, where=attention_place)
        for s in attention_situations(grouped=grouped, causal=causal)
    )


def attention_place(index: tuple[int, ...]) -> str:
    """An index into (B, L, H, D) in words."""
    return ", ".join(f"{axis} {i}" for axis, i in zip(("batch", "query", "head", "channel"), index, strict=False))


def tile_place(axis: int, tile: int, name: str = "tile") -> Callable[[tuple[int, ...]], str]:
    """A `where` for Values: names the tile of `tile` positions along `axis` that holds the bad index."""

    def place(index: tuple[int, ...]) -> str:
        number = index[axis] // tile
        return f"{name} {number} (positions {number * tile} to {(number + 1) * tile - 1} of axis {axis})"

    return place
