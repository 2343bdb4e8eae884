"""Whether engines write the same text, and where not, how close the call was, by this workbook's model in float64.

The reference is the greedy text in float64. Two engines may differ where its best two scores are closer than a rounding;
from there on a text is another one, so only the first difference says anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from workload import Request

from minillm.model import Decoder
from minillm.model.checkpoint import load_model


class Reference(NamedTuple):
    """The greedy text of a request, and by how much each token's score beat the next best."""

    tokens: list[int]
    gaps: list[float]


class Agreement(NamedTuple):
    """How many texts are the reference's, and of those that differ the first position and the gap there, closest call first."""

    same: int
    differences: list[tuple[int, float]]


def compare(texts: Sequence[Sequence[int]], references: Sequence[Reference]) -> Agreement:
    """An engine's texts, in order -> how they agree with the references."""
    found = [_first_difference(text, ref) for text, ref in zip(texts, references, strict=True)]
    return Agreement(found.count(None), sorted((d for d in found if d is not None), key=lambda d: -d[1]))


def references(
    folder: Path, requests: Sequence[Request], candidates: Sequence[Sequence[Sequence[int]]], cache: Path
) -> list[Reference]:
    """The greedy texts in float64, remembered in `cache` for the same checkpoint and requests.

    `candidates` are what engines wrote, text for text. Checking a text takes one pass and writing one takes a pass a token,
    so each is checked first, and only what nobody got right to the end is written here.
    """
    key = hashlib.sha256((folder / "model.safetensors").read_bytes() + json.dumps(requests).encode()).hexdigest()[:16]
    kept = cache / f"greedy-{folder.name}-{key}.json"
    if kept.is_file():
        return [Reference(*row) for row in json.loads(kept.read_text(encoding="utf-8"))]
    model = load_model(folder, dtype="float64")
    written = [reference(model, r, [texts[i] for texts in candidates]) for i, r in enumerate(requests)]
    kept.write_text(json.dumps(written), encoding="utf-8")
    return written


@torch.inference_mode()
def reference(model: Decoder, request: Request, candidates: Iterable[Sequence[int]]) -> Reference:
    """The greedy text of one request: the candidate that is right to its end, or what follows the best one's beginning."""
    best: Reference = Reference([], [])
    for text in dict.fromkeys(map(tuple, candidates)):
        right = _verified(model, request.prompt, text[: request.num_tokens])
        if len(right.tokens) >= len(best.tokens):
            best = right
        if len(best.tokens) == request.num_tokens:
            return best
    return _continued(model, request, best)


def _verified(model: Decoder, prompt: Sequence[int], text: Sequence[int]) -> Reference:
    """As much of a text as is greedy."""
    if not text:
        return Reference([], [])
    ids = torch.tensor([[*prompt, *text[:-1]]])
    hidden = model.hidden_states(ids)[0, len(prompt) - 1 :]
    top = model.logits(hidden).topk(2, dim=-1)
    wrong = (top.indices[:, 0] != torch.tensor(text)).nonzero()
    right = int(wrong[0]) if len(wrong) else len(text)
    return Reference(list(text[:right]), (top.values[:, 0] - top.values[:, 1])[:right].tolist())


def _continued(model: Decoder, request: Request, begun: Reference) -> Reference:
    tokens, gaps = list(begun.tokens), list(begun.gaps)
    cache = model.new_cache(1, len(request.prompt) + request.num_tokens)
    ids = [*request.prompt, *tokens]
    while len(tokens) < request.num_tokens:
        top = model.logits(model.hidden_states(torch.tensor([ids]), cache)[0, -1]).topk(2)
        tokens.append(int(top.indices[0]))
        gaps.append(float(top.values[0] - top.values[1]))
        ids = tokens[-1:]
    return Reference(tokens, gaps)


def _first_difference(text: Sequence[int], ref: Reference) -> tuple[int, float] | None:
    for position, (token, right) in enumerate(zip(text, ref.tokens, strict=False)):
        if token != right:
            return position, ref.gaps[position]
    return None if len(text) == len(ref.tokens) else (min(len(text), len(ref.tokens)), 0.0)
