"""A beam search as a tree that can be drawn: at every step what was looked at, and what became of it.

The search is the package's own, `minillm.decoding.advance`; here it is only written down, with as many of the dropped
continuations as the beam is wide, so that one sees how near they came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minillm.decoding import BeamRules, BeamState, Hypothesis, advance, best_continuations

if TYPE_CHECKING:
    from torch import Tensor

Fate = Literal["live", "finished", "dropped"]


@dataclass(frozen=True)
class Node:
    """One continuation that was looked at: its place in the layer before it (-1: the prompt), token, sum, and what became of it."""

    parent: int
    token: int
    logprob: float
    fate: Fate


@dataclass(frozen=True)
class BeamTree:
    """A layer of nodes a step, the best first, and the hypotheses of the end, the best first."""

    layers: tuple[tuple[Node, ...], ...]
    hypotheses: tuple[Hypothesis, ...]

    def token_ids(self, layer: int, place: int) -> tuple[int, ...]:
        """The text that ends in a node."""
        ids = list[int]()
        while layer >= 0:
            node = self.layers[layer][place]
            ids.append(node.token)
            layer, place = layer - 1, node.parent
        return tuple(reversed(ids))


def grow(next_logits: Callable[[list[tuple[int, ...]]], Tensor], rules: BeamRules) -> BeamTree:
    """Search, and write every step down; `next_logits` as `search_beams` takes it."""
    state, places = BeamState(), [-1]
    layers = list[tuple[Node, ...]]()
    while not state.is_done:
        continuations = best_continuations(next_logits([beam.token_ids for beam in state.live]), rules)
        layers.append(_layer(state, continuations, rules, places))
        places = [place for place, node in enumerate(layers[-1]) if node.fate == "live"]
        state = advance(state, continuations, rules).state
    return BeamTree(tuple(layers), state.finished)


def _layer(
    state: BeamState, continuations: list[list[tuple[int, float]]], rules: BeamRules, places: list[int]
) -> tuple[Node, ...]:
    """The best continuations in order, with their fates; `places` are the live beams' nodes in the layer before."""
    grown = [
        (beam.logprob + logprob, place, token)
        for beam, place, tokens in zip(state.live, places, continuations, strict=True)
        for token, logprob in tokens
        if logprob > float("-inf")
    ]
    nodes = list[Node]()
    at_the_end = len(state.live[0].token_ids) + 1 == rules.max_tokens
    live = dropped = 0
    for logprob, place, token in sorted(grown, key=lambda one: -one[0]):
        if live == rules.width:
            fate: Fate = "dropped"
            dropped += 1
        elif token in rules.stop_token_ids:
            fate = "finished"
        else:
            fate = "finished" if at_the_end else "live"
            live += 1
        if dropped > rules.width:
            break
        nodes.append(Node(place, token, logprob, fate))
    return tuple(nodes)
