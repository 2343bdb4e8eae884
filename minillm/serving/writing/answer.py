"""Everything that is written for one prompt: n texts, each with its request, its characters and its log-probabilities.

The scheduler's request knows tokens and blocks; what a reader sees of a token, and when a text has ended, is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minillm.decoding.penalties import TokenCounts, has_penalties
from minillm.decoding.sampling import Choice, uniform_noise
from minillm.model.tokenizer import Tokenizer
from minillm.serving.outputs import CompletionOutput, FinishReason, RequestOutput, TextChunk
from minillm.serving.request import Request
from minillm.serving.sampling_params import SamplingParams
from minillm.serving.writing.text_stream import TextStream


class Text:
    """One of the texts of an answer, while it is written and after."""

    def __init__(self, answer: Answer, index: int, request: Request, tokenizer: Tokenizer | None):
        params = answer.params
        self.answer, self.index, self.request = answer, index, request
        self.stream = None if tokenizer is None else TextStream(tokenizer, params.stop, params.min_tokens)
        self.shown: list[str] = []
        self.logprobs: list[dict[int, float]] | None = None if params.logprobs is None else []
        self.counts = TokenCounts(request.prompt_token_ids) if has_penalties(params) else None
        self._is_greedy = params.temperature == 0 or params.top_k == 1
        self._same_choice = Choice(params) if self._is_greedy and not params.min_tokens and not self.counts else None

    def choice(self, draft_ids: Sequence[int] = ()) -> Choice:
        """What the next token is chosen by, if these drafts were written already."""
        if self._same_choice is not None:
            return self._same_choice
        params, request = self.answer.params, self.request
        position = request.num_output_tokens + len(draft_ids)
        noise = 0.0 if self._is_greedy else uniform_noise(self.answer.seed, self.index, position)
        banned = request.stop_token_ids if position < params.min_tokens else ()
        if self.counts is None:
            return Choice(params, noise, banned=banned)
        output = [*request.output_token_ids, *draft_ids]
        return Choice(params, noise, request.prompt_token_ids, output, banned, self.counts)

    def write(self, tokens: Sequence[int], logprobs: Sequence[dict[int, float]] | None = None) -> TextChunk:
        """Chosen tokens -> what they add to the text, up to the one that ends it; those behind it are dropped."""
        request, stream, pieces = self.request, self.stream, []
        left = request.max_tokens - request.num_output_tokens
        reason: FinishReason | None = None
        kept = 0
        for token in tokens:
            kept += 1
            silent = token in request.stop_token_ids
            reason = "stop" if silent else "length" if kept == left else None
            if stream is not None:
                piece, stopped = stream.push(token, last=reason is not None, silent=silent)
                pieces.append(piece)
                reason = "stop" if stopped else reason
            if reason is not None:
                break
        shown = "".join(pieces)
        self.shown.append(shown)
        told = None
        if logprobs is not None and self.logprobs is not None:
            told = tuple(logprobs[:kept])
            self.logprobs += told
        return TextChunk(shown, tuple(tokens[:kept]), reason, self.index, self.answer.request_id, told)

    def fail(self, error: Exception) -> TextChunk:
        """The last chunk of a text whose computation raised; the answer says the same."""
        said = self.answer.error = f"{type(error).__name__}: {error}"
        return TextChunk("", (), "error", self.index, self.answer.request_id, error=said)

    def output(self) -> CompletionOutput:
        """The text as far as it is written."""
        tokens = tuple(self.request.output_token_ids)
        text, reason = "".join(self.shown), self.request.finish_reason
        if self.logprobs is None:
            return CompletionOutput(self.index, text, tokens, reason)
        told = tuple(self.logprobs[: len(tokens)])  # more, where an interruption took the last tokens back
        total = sum(row[token] for row, token in zip(told, tokens, strict=True))
        return CompletionOutput(self.index, text, tokens, reason, told, total)


class Answer:
    """The n texts that are written for one prompt. `seed` is what their noise is drawn from.

    All texts but the first are children of the first one's request: they share its blocks of the prompt.
    """

    def __init__(
        self, names: Sequence[str], prompt: str | None, token_ids: Sequence[int], params: SamplingParams, seed: int
    ):
        self.request_id, self.prompt, self.prompt_token_ids = names[0], prompt, tuple(token_ids)
        self.names, self.params, self.seed = names, params, seed
        self.texts: list[Text] = []
        self.num_unfinished = len(names)
        self.error: str | None = None

    def begin(self, tokenizer: Tokenizer | None, ends: Sequence[int], **said: Any) -> list[Request]:
        """-> the requests to schedule. `ends` are the model's end tokens; `said` is what Request takes besides."""
        params = self.params
        ends = (*(() if params.ignore_eos else ends), *params.stop_token_ids)
        limits: dict[str, Any] = dict(max_tokens=params.max_tokens, min_tokens=params.min_tokens, stop_token_ids=ends)
        parent: Request | None = None
        for index, name in enumerate(self.names):
            request = Request(name, self.prompt_token_ids, parent=parent, **limits, **said)
            self.texts.append(Text(self, index, request, tokenizer))
            parent = parent or request
        return [text.request for text in self.texts]

    @property
    def is_finished(self) -> bool:
        """Whether every text has ended."""
        return self.num_unfinished == 0

    def output(self) -> RequestOutput:
        """The answer as far as it is written."""
        cached = self.texts[0].request.num_cached_tokens
        texts = tuple(text.output() for text in self.texts)
        return RequestOutput(self.prompt, self.prompt_token_ids, texts, self.request_id, self.error, cached)


def text_id(request_id: str, index: int) -> str:
    """The scheduler's name for text `index` of a request: the first is called as the request is."""
    return request_id if index == 0 else f"{request_id}#{index}"
