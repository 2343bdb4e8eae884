"""The engine's face: `LLM("tiny").generate(...)`, `.stream(...)`, `.chat(...)` and `.beam_search(...)`.

One engine writes one text or a thousand: a call hands its prompts over and steps the engine until they are answered. Streams
that are open meanwhile are written along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from minillm.decoding.beam import Hypothesis
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.model.chat import ChatTemplate, Message, as_conversations
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer
from minillm.serving.asking.opened_model import open_model
from minillm.serving.asking.prompts import Prompt, as_prompts, as_sequence, one_each
from minillm.serving.beams import beam_search
from minillm.serving.engine import LLMEngine
from minillm.serving.outputs import CompletionOutput, RequestOutput, TextChunk
from minillm.serving.sampling_params import SamplingParams


class LLM:
    """A model and its tokenizer, ready to write.

    `model` is a bundled name ("tiny"), a checkpoint folder, a hub id or a Decoder, which may come with a `tokenizer`; `dtype`
    a torch dtype or its name, float32 on a CPU by default; `chat_template` Jinja source instead of the checkpoint's own.
    `options` are LLMEngine's: block_size, num_blocks, max_num_batched_tokens, max_num_seqs, policy, speculative, … Raises
    what `load_model` and LLMEngine raise.
    """

    def __init__(
        self,
        model: str | Path | Decoder,
        tokenizer: str | Path | Tokenizer | None = None,
        *,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        chat_template: str | ChatTemplate | None = None,
        **options: Any,
    ):
        opened = open_model(model, tokenizer, dtype=dtype, device=device, chat_template=chat_template)
        self.name, self.model, self.tokenizer, self.chat_template = opened
        self.engine = LLMEngine(self.model, self.tokenizer, **options)
        self._open: dict[str, deque[TextChunk]] = {}  # what streams have not taken yet

    def generate(
        self, prompts: Prompt | Sequence[Prompt], params: SamplingParams | Sequence[SamplingParams] | None = None
    ) -> list[RequestOutput]:
        """One or many prompts (text, or token ids) -> one RequestOutput each, in order.

        `params` is one for all or one each. Everything is checked before anything runs; raises InvalidType or InvalidValue
        for an empty or over-long prompt, ids outside the vocabulary, or parameters that do not pair up. A text whose
        computation fails has the finish_reason "error", and its output says why.
        """
        many = as_prompts(prompts)
        return self._answer(many, one_each(params, len(many)))

    def stream(self, prompt: Prompt, params: SamplingParams | None = None) -> ChunkStream:
        """One prompt -> TextChunks as they are written; joined, they are what `generate` gives. Raises, at the call, what
        `generate` raises. A stream that is closed or dropped is aborted."""
        [one], [chosen] = [prompt] if isinstance(prompt, str) else [list(as_sequence(prompt))], one_each(params, 1)
        return ChunkStream(self, self.engine.add_request(one, chosen))

    def chat(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **template_options: Any,
    ) -> list[RequestOutput]:
        """One conversation (a list of {"role", "content"}) or many -> one RequestOutput each, in order.

        The checkpoint's own chat template makes a prompt of it; see ChatTemplate.render for the options. Raises Unsupported
        for a model without one, and what `render` and `generate` raise.
        """
        options = dict(tools=tools, add_generation_prompt=add_generation_prompt, **template_options)
        texts = [self._template().render(one, **options) for one in as_conversations(messages)]
        assert self.tokenizer is not None
        ids = [self.tokenizer.encode(text, add_special_tokens=False) for text in texts]  # the template wrote them
        return self._answer(ids, one_each(params, len(ids)), texts)

    def beam_search(
        self,
        prompts: Prompt | Sequence[Prompt],
        beam_width: int = 4,
        max_tokens: int = 16,
        length_penalty: float = 1.0,
        *,
        stop_token_ids: Iterable[int] = (),
        ignore_eos: bool = False,
    ) -> list[RequestOutput]:
        """One or many prompts -> for each its `beam_width` best texts, the best first; fewer where there are no more.

        A text's score is cumulative_logprob / tokens ** length_penalty. Beams share the engine's blocks while the search lasts.
        Raises InvalidType or InvalidValue, before anything runs, and OutOfBlocks when they need more than are free.
        """
        params = SamplingParams(max_tokens=max_tokens, stop_token_ids=stop_token_ids, ignore_eos=ignore_eos)
        read = [self.engine.read(prompt, params) for prompt in as_prompts(prompts)]
        ends = (*(() if ignore_eos else self.model.config.eos_token_ids), *params.stop_token_ids)
        rules: dict[str, Any] = dict(
            beam_width=beam_width, max_tokens=max_tokens, length_penalty=length_penalty, stop_token_ids=ends
        )
        found = beam_search(self.model, self.engine.cache, [one.token_ids for one in read], **rules)
        return [
            RequestOutput(one.text, tuple(one.token_ids), tuple(self._beam(i, beam) for i, beam in enumerate(beams)))
            for one, beams in zip(read, found, strict=True)
        ]

    def __repr__(self) -> str:
        model = self.model
        return f"LLM({self.name!r}, {model.num_parameters():,} parameters, {str(model.dtype).removeprefix('torch.')} on {model.device})"

    def step(self) -> None:
        """One step of the engine; chunks of open streams are kept until they are taken."""
        for chunk in self.engine.step():
            taken = self._open.get(chunk.request_id or "") if self._open else None
            if taken is not None:
                taken.append(chunk)

    def open_stream(self, request_id: str) -> deque[TextChunk]:
        """Keep a request's chunks from now on, for whoever takes them."""
        return self._open.setdefault(request_id, deque())

    def close_stream(self, request_id: str, *, later: bool = False) -> None:
        """Keep them no more, and abort the request; `later` is for a moment when the engine may be at work."""
        if self._open.pop(request_id, None) is not None:
            (self.engine.discard_later if later else self.engine.discard)(request_id)

    def _beam(self, index: int, beam: Hypothesis) -> CompletionOutput:
        """The end token, if there is one, has no text."""
        shown = beam.token_ids[:-1] if beam.finish_reason == "stop" else beam.token_ids
        text = "" if self.tokenizer is None else self.tokenizer.bpe.decode(list(shown), skip_special_tokens=True)
        return CompletionOutput(index, text, beam.token_ids, beam.finish_reason, cumulative_logprob=beam.logprob)

    def _template(self) -> ChatTemplate:
        if self.chat_template is None or self.tokenizer is None:
            rule = "chat needs the template that a model was taught conversations with"
            remedy = "use generate with text, or a checkpoint made for chat, or pass chat_template"
            raise Unsupported(rule_numbers_remedy(rule, f"{self.name!r}, which has none", remedy))
        return self.chat_template

    def _answer(
        self, prompts: Sequence[Prompt], params: Sequence[SamplingParams], texts: Sequence[str] | None = None
    ) -> list[RequestOutput]:
        """Write all of them; whatever interrupts, nothing of them is left in the engine."""
        engine, answers = self.engine, []
        read = [engine.read(prompt, chosen) for prompt, chosen in zip(prompts, params, strict=True)]
        if texts is not None:
            read = [one._replace(text=text) for one, text in zip(read, texts, strict=True)]
        try:
            for one, chosen in zip(read, params, strict=True):
                answers.append(engine.answers.find(engine.add(one, chosen)))
            for answer in answers:
                while not answer.is_finished:
                    self.step()
            return [answer.output() for answer in answers]
        finally:
            for answer in answers:
                engine.discard(answer.request_id)


class ChunkStream(Iterator[TextChunk]):
    """The chunks of one request; asking for the next one steps the engine. Also a context manager that closes it."""

    def __init__(self, llm: LLM, request_id: str):
        self.llm, self.request_id = llm, request_id
        self._answer = llm.engine.answers.find(request_id)
        self._chunks = llm.open_stream(request_id)

    def __next__(self) -> TextChunk:
        while not self._chunks:
            if self._answer.is_finished and not self.llm.engine.unread:
                self.close()
                raise StopIteration
            self.llm.step()
        return self._chunks.popleft()

    def close(self) -> None:
        """Abort what is still to be written; nothing happens the second time."""
        self.llm.close_stream(self.request_id)
        self._chunks.clear()

    def __enter__(self) -> ChunkStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # May be called in the middle of a step, by the collector of garbage: so not before the next one.
        if hasattr(self, "_chunks"):
            self.llm.close_stream(self.request_id, later=True)
