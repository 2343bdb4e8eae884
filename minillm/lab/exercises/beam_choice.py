"""The exercise 15.beam_step: of all continuations of all beams, the best.

Ties are real here: two beams may have the same sum to the last bit, and the answer is still one.
"""

from __future__ import annotations

import itertools

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

Step = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def best_by_listing(scores: torch.Tensor, logprobs: torch.Tensor, width: int) -> Step:
    """The definition: list every continuation, sort, take."""
    sums = (scores[:, None] + logprobs).tolist()
    every = [(-total, beam, token) for beam, row in enumerate(sums) for token, total in enumerate(row)]
    best = sorted(every)[:width]
    ids = torch.tensor([[beam, token] for _, beam, token in best])
    return ids[:, 0], ids[:, 1], torch.tensor([-total for total, _, _ in best], dtype=scores.dtype)


def _table(name: str, W: int, V: int) -> torch.Tensor:
    return inputs.normal(f"beam {name}", W, V).log_softmax(-1)


def _case(name: str, meaning: str, scores: list[float], logprobs: torch.Tensor, width: int) -> Values:
    return Values(name, lambda: given(torch.tensor(scores), logprobs.clone(), width), best_by_listing, meaning)


def _greedy(call: LearnerCall) -> bool:
    logprobs = _table("greedy", 1, 30)
    parents, tokens, _ = call(torch.zeros(1), logprobs, 1)
    return parents.tolist() == [0] and tokens.tolist() == [int(logprobs[0].argmax())]


def _shift(call: LearnerCall) -> Finding | bool | None:
    scores, logprobs = torch.tensor([-3.0, -1.0, -2.0]), _table("shift", 3, 12)
    return same(call(scores - 8, logprobs, 4)[:2], call(scores, logprobs, 4)[:2])


def _every_text(call: LearnerCall) -> Finding | None:
    """Three steps over three tokens with room for all: every text there is, the most probable first."""
    table = _table("every text", 3, 3).double()
    texts, scores = [()], torch.zeros(1, dtype=torch.float64)
    for _ in range(3):
        logprobs = torch.stack([table[text[-1] if text else 0] for text in texts])
        parents, tokens, scores = call(scores, logprobs, 27)
        texts = [(*texts[parent], token) for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True)]
    if sorted(texts) != sorted(itertools.product(range(3), repeat=3)):
        return Finding("", (("got", f"{len(set(texts))} different texts"), ("want", "all 27")))
    paths = [sum(float(table[a, b]) for a, b in itertools.pairwise((0, *text))) for text in texts]
    return same(scores, torch.tensor(sorted(paths, reverse=True), dtype=torch.float64))


W, V = 4, 20_000
BEAM_STEP = Exercise(
    id="15.beam_step",
    title="One step of a beam search",
    statement=(
        "scores (W,) are the log-probabilities of W texts so far, logprobs (W, V) those of what could follow each. Of all W · V "
        "continuations return the `width` best, the best first, as (parents, tokens, scores), each (width,): which text is continued, "
        "with which token, and the new sum. Among equal sums the lower parent goes first, then the lower token."
    ),
    signature="beam_step(scores, logprobs, width)",
    layers={
        "contract": (
            Contract("three rows of width", lambda: given(torch.tensor([-1.0, -2.0]), _table("kind", 2, 9), 3), best_by_listing),
            Contract("one beam, one token", lambda: given(torch.zeros(1), torch.zeros(1, 1), 1), best_by_listing),
            Contract("keeps float64", lambda: given(torch.zeros(2).double(), _table("kind", 2, 9).double(), 3), best_by_listing),
        ),
        "values": (
            _case("the first step", "There is one text, the prompt, and its best tokens become the beams.", [0.0], _table("first", 1, 8), 3),
            _case("across beams", "All continuations compete: not each beam for itself.", [-1.0, -1.1], _table("across", 2, 8), 2),
            _case("two children", "A text may have several children, and another none.", [-0.5, -9.0, -9.5], _table("children", 3, 8), 3),
            _case("a poor text", "A good token does not save a text that is far behind: sums are compared.", [-1.0, -30.0], _table("poor", 2, 6), 2),
            _case("wider than before", "The width need not be the number of texts.", [-1.0, -2.0], _table("wider", 2, 6), 5),
            _case("narrower than before", "The width need not be the number of texts.", [-1.0, -1.0, -1.0, -1.0], _table("narrow", 4, 6), 2),
            _case("all equal", "Among equal sums: the lower parent, then the lower token.", [-1.0, -1.0, -1.0], torch.full((3, 5), -1.5), 7),
            _case("equal across beams", "Two texts can meet in one sum.", [-1.0, -2.0], torch.tensor([[-3.0, -2.0, -4.0], [-1.0, -2.0, -1.0]]), 4),
            _case("a long text", "A sum of hundreds of tokens is far below zero: as a probability it would be rounded to nothing.", [-900.0, -901.0], _table("long", 2, 6), 3),
            _case("what cannot come", "A token of log-probability -inf comes last.", [0.0, -1.0], torch.tensor([[-torch.inf, -1.0], [-0.5, -torch.inf]]), 2),
        ),
        "properties": (
            Property("a width of one is greedy", _greedy, "From one text, the one best continuation is its best token."),
            Property("sums only matter by their differences", _shift, "Taking 8 off every score changes no choice."),
            Property("room for every text", _every_text, "A beam as wide as there are texts loses none."),
        ),
        "resources": (
            Budget("a table or two", lambda: given(torch.zeros(W), torch.zeros(W, V), W), {"peak_bytes": 32 * W * V},
                   "The sums are one table of W times V; what is copied for every continuation costs as much again."),
        ),
    },
    hints=(
        "Add each text's score to its row. Then parent and token are only a place in a table.",
        "A flat list of the sums is in the order that breaks ties: parent first, then token. A stable sort keeps it.",
        "sums = (scores[:, None] + logprobs).flatten()\nbest, place = sums.sort(descending=True, stable=True)\n"
        "place[:width] // V is the parent, place[:width] % V the token",
    ),
    solution="minillm/decoding/beam.py: advance, and notebooks/solutions/lesson_15.py: beam_step",
    time_limit_s=6.0,
)  # fmt: skip
