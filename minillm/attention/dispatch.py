"""`ml.attention`: one question, several forms of the answer, chosen by name.

The function checks what it was given, finds the form in the table and calls it. With `backend="auto"` it takes the
fastest form that can compute the options asked for, so a caller never has to know which form lacks what.
"""

import inspect
from typing import Any

import torch

from minillm.attention.table import OPTIONS, choose_backend
from minillm.attention.validate import validate
from minillm.errors import InvalidType, nearest_name


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    backend: str = "auto",
    return_lse: bool = False,
    **unknown: Any,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """q (B, L, H, D), k and v (B, S, G, D) -> out (B, L, H, D), and lse (B, H, L) if `return_lse`.

    Scores are q.k times `scale` (1/sqrt(D) if None), then capped to softcap * tanh(score / softcap) if `softcap`, then
    masked. Query head h reads key/value head h // (H / G).

    causal      query i sees key j only if j <= i + S - L: the last query stands at the last key
    window      query i sees key j only if j > i + S - L - window: the last `window` keys, itself included
    sinks       (H,) one extra logit a head that joins the softmax's sum and has no value
    backend     a name in `ml.backends()`, or "auto" for the fastest that can compute the options
    return_lse  also return the log of each row's softmax sum: natural log, float32 (float64 for float64 input)

    A row that sees nothing gives 0 and lse -inf (or lse = its sink). Raises InvalidType, InvalidValue or Unsupported,
    before any work. Source: Vaswani et al. 2017; shared heads from Ainslie et al. 2023; sinks as in gpt-oss.
    """
    if unknown:
        raise unknown_option(unknown)
    validate(q, k, v, causal, window, softcap, sinks, scale, return_lse)
    options: dict[str, Any] = {"causal": causal} if causal else {}
    if window is not None:
        options["window"] = window
    if softcap:
        options["softcap"] = softcap
    if sinks is not None:
        options["sinks"] = sinks
    if scale is not None:
        options["scale"] = scale
    if return_lse:
        options["return_lse"] = True
    return choose_backend(backend, tuple(options), q).run(q, k, v, **options)


def unknown_option(unknown: dict[str, Any]) -> InvalidType:
    """The refusal of a keyword that attention does not have, naming the nearest that it does."""
    name = next(iter(unknown))
    known = (*OPTIONS, "backend")
    return InvalidType(f"attention has no option {name!r}{nearest_name(name, known)}; known: {', '.join(known)}.")


# The catch-all exists to make the refusal ours; help() and inspect show the contract without it.
_shown = inspect.signature(attention)
attention.__signature__ = _shown.replace(  # type: ignore[attr-defined]
    parameters=[p for p in _shown.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
)
