"""Texts that the engine writes with guesses, pass by pass: what was proposed, what was kept, what the target said itself.

The engine, the models and the proposers are the package's own, and nothing is imitated; a thin wrapper writes down what was
proposed. In float64, so that every machine writes the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from minillm.lab.shared_prompts import READERS
from minillm.model.checkpoint import load_model
from minillm.model.tokenizer import Tokenizer, load_tokenizer
from minillm.serving.engine import LLMEngine
from minillm.serving.request import Request
from minillm.serving.sampling_params import SamplingParams
from minillm.serving.speculation.draft_model import DraftModelProposer
from minillm.serving.speculation.drafts import NgramProposer
from minillm.serving.speculation.proposer import ChoiceOf, Proposer

WRITTEN = 40  # tokens behind the prompt's own

SHAPES = '''class Point:
    """A point in the plane."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __repr__(self):
        return f"Point({self.x}, {self.y})"


class Circle:
    """A circle in the plane."""

'''
FILES = (
    READERS
    + '''def write_text(path, text):
    """Write a text to a file."""
'''
)
SHORT = '''def read_records(path):
    """Return one dictionary for each line of a file, with the names of its first line as keys."""
'''


@dataclass(frozen=True)
class Kind:
    """A prompt, how its tokens are chosen, and who guesses."""

    prompt: str
    temperature: float
    draft_model: bool


KINDS = {
    "look-up, best tokens": Kind(FILES, 0.0, False),
    "draft model, best tokens": Kind(FILES, 0.0, True),
    "look-up, drawn tokens": Kind(SHAPES, 0.7, False),
    "draft model, drawn tokens": Kind(SHAPES, 0.7, True),
    "look-up, nothing repeats": Kind(SHORT, 1.0, False),
}


@dataclass(frozen=True)
class Pass:
    """One pass of the target over one text: `drafts` were checked, and `written` are those kept and the target's own."""

    drafts: tuple[int, ...]
    written: tuple[int, ...]

    @property
    def num_kept(self) -> int:
        """Drafts that were right, up to the first that was not."""
        return len(self.written) - 1

    @property
    def num_judged(self) -> int:
        """Drafts that were compared: the kept ones and the first wrong one."""
        return min(self.num_kept + 1, len(self.drafts))


@dataclass(frozen=True)
class Run:
    """A prompt, the one token that its own pass wrote, and the passes behind it."""

    prompt: tuple[int, ...]
    first: int
    passes: tuple[Pass, ...]

    @property
    def tokens_a_pass(self) -> float:
        """Tokens written by a pass, on average."""
        return sum(len(p.written) for p in self.passes) / len(self.passes)

    @property
    def acceptance(self) -> float:
        """The share of drafts that were kept, of those that were judged; 0 if there were none."""
        judged = sum(p.num_judged for p in self.passes)
        return sum(p.num_kept for p in self.passes) / judged if judged else 0.0


class Recorder:
    """A proposer that proposes what another does, and remembers it."""

    def __init__(self, proposer: Proposer):
        self.proposer, self.k, self.vocab_size = proposer, proposer.k, proposer.vocab_size
        self.last: dict[str, list[int]] = {}

    def propose(self, requests: Sequence[Request], k: int, choice_of: ChoiceOf | None = None) -> list[list[int]]:
        proposals = self.proposer.propose(requests, k, choice_of)
        self.last = {r.request_id: list(p) for r, p in zip(requests, proposals, strict=True)}
        return proposals

    def forget(self, request: Request) -> None:
        self.proposer.forget(request)


@lru_cache(maxsize=32)
def guessed_run(kind: str, k: int) -> Run:
    """A name in KINDS and how many tokens are guessed -> the run; about a tenth of a second, once."""
    asked, tokenizer = KINDS[kind], load_tokenizer("tiny")
    model, draft = _models()
    proposer = Recorder(DraftModelProposer(draft, 64, k) if asked.draft_model else NgramProposer(k))
    return record(LLMEngine(model, tokenizer, num_blocks=64, speculative=proposer), tokenizer, asked, proposer)


def record(engine: LLMEngine, tokenizer: Tokenizer, asked: Kind, proposer: Recorder) -> Run:
    """Let the engine write WRITTEN tokens behind a prompt -> the run."""
    prompt = tuple(tokenizer.encode(asked.prompt))
    params = SamplingParams(temperature=asked.temperature, seed=16, max_tokens=WRITTEN + 1, ignore_eos=True)
    name, steps = engine.add_request(list(prompt), params), list[Pass]()
    while engine.has_unfinished:
        proposer.last = {}
        for chunk in engine.step():
            steps.append(Pass(tuple(proposer.last.get(name, ())), chunk.token_ids))
    return Run(prompt, steps[0].written[0], tuple(steps[1:]))


@lru_cache(maxsize=1)
def _models():  # type: ignore[no-untyped-def]
    return load_model("tiny", dtype=torch.float64), load_model("tiny-draft", dtype=torch.float64)
