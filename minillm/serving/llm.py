"""The engine's face: `LLM("tiny").generate(...)` and `.stream(...)`.

A prompt is read in one pass (prefill), which fills a KV cache and gives the first token; then every pass reads one token and
gives the next (decode). Requests are answered one after the other, so no text can depend on another's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from minillm.cache.contiguous import ContiguousCache
from minillm.decoding.sampling import sample_token, uniform_noise
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.model.checkpoint import load_model
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import StreamDecoder, Tokenizer, load_tokenizer
from minillm.serving.outputs import CompletionOutput, FinishReason, RequestOutput, TextChunk
from minillm.serving.runner import DecodeLoop
from minillm.serving.sampling_params import SamplingParams

Prompt = str | Sequence[int]


class LLM:
    """A model and its tokenizer, ready to write.

    `model` is a bundled name ("tiny"), a checkpoint folder or a hub id; `dtype` a torch dtype or its name, float32 on a CPU
    by default. Raises what `load_model` raises.
    """

    def __init__(
        self, model: str | Path, *, dtype: torch.dtype | str | None = None, device: torch.device | str | None = None
    ):
        self.model: Decoder = load_model(model, dtype=dtype, device=device)
        self.tokenizer: Tokenizer = load_tokenizer(model)
        self.name = str(model)

    def generate(
        self, prompts: Prompt | Sequence[Prompt], params: SamplingParams | Sequence[SamplingParams] | None = None
    ) -> list[RequestOutput]:
        """One or many prompts (text, or token ids) -> one RequestOutput each, in order.

        `params` is one for all or one each. Everything is checked before anything runs; raises InvalidType or InvalidValue
        for an empty or over-long prompt, ids outside the vocabulary, or parameters that do not pair up.
        """
        requests = self._requests(prompts, params)
        return [self._finish(prompt, ids, list(self._write(ids, chosen))) for prompt, ids, chosen in requests]

    def stream(self, prompt: Prompt, params: SamplingParams | None = None) -> Iterator[TextChunk]:
        """One prompt -> TextChunks as they are written; joined, they are what `generate` gives. Raises, at the call, what
        `generate` raises."""
        requests = self._requests([prompt] if isinstance(prompt, str) else [list(self._as_sequence(prompt))], params)
        _, ids, chosen = requests[0]
        return self._write(ids, chosen)

    def __repr__(self) -> str:
        model = self.model
        return f"LLM({self.name!r}, {model.num_parameters():,} parameters, {str(model.dtype).removeprefix('torch.')} on {model.device})"

    def _requests(self, prompts: Any, params: Any) -> list[tuple[str | None, list[int], SamplingParams]]:
        many = self._as_sequence(prompts) if not isinstance(prompts, str) else [prompts]
        if many and all(isinstance(p, int) for p in many):
            many = [many]
        if len(many) == 0:
            raise InvalidValue("a call needs at least one prompt; got none; pass text or token ids.")
        chosen = self._paired(params, len(many))
        return [(p if isinstance(p, str) else None, self._ids(p, c), c) for p, c in zip(many, chosen, strict=True)]

    @staticmethod
    def _paired(params: Any, count: int) -> list[SamplingParams]:
        """One SamplingParams for each of `count` prompts."""
        if params is None or isinstance(params, SamplingParams):
            return [params or SamplingParams()] * count
        chosen = params if isinstance(params, list | tuple) else [params]
        for one in chosen:
            if not isinstance(one, SamplingParams):
                raise InvalidType(
                    rule_numbers_remedy(
                        "params must be SamplingParams", type(one).__name__, "use ml.SamplingParams(...)"
                    )
                )
        if len(chosen) != count:
            rule = "params must be one for all or one for each prompt"
            raise InvalidValue(rule_numbers_remedy(rule, f"{len(chosen)} for {count} prompts", "pass one"))
        return list(chosen)

    @staticmethod
    def _as_sequence(value: Any) -> Sequence[Any]:
        if isinstance(value, torch.Tensor):
            value = value.tolist()
        if not isinstance(value, Sequence) or isinstance(value, bytes):
            raise InvalidType(
                f"prompts are text, token ids, or a list of either; got {type(value).__name__}; pass a string."
            )
        return value

    def _ids(self, prompt: Any, params: SamplingParams) -> list[int]:
        if not isinstance(prompt, str):
            prompt = self._as_sequence(prompt)
            if not all(isinstance(i, int) and not isinstance(i, bool) for i in prompt):
                raise InvalidType(
                    "token ids are whole numbers; got " + repr(prompt)[:60] + "; encode text with the tokenizer."
                )
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
        if not ids:
            raise InvalidValue("a prompt needs at least one token; got an empty one; pass some text.")
        config = self.model.config
        wrong = [i for i in ids if not 0 <= i < config.vocab_size]
        if wrong:
            raise InvalidValue(
                f"token ids lie in 0 … {config.vocab_size - 1}; got {wrong[0]}; encode with this model's own tokenizer."
            )
        room = config.max_position_embeddings
        # The last token is written but never read, so it needs no position.
        fits = room - len(ids) + 1
        if params.max_tokens > fits:
            remedy = f"or use max_tokens={fits}" if fits > 0 else f"to at most {room} tokens"
            raise InvalidValue(
                f"prompt and max_tokens must fit the model's {room} positions; got {len(ids)} + {params.max_tokens}; "
                f"shorten the prompt {remedy}."
            )
        return ids

    def _finish(self, prompt: str | None, ids: list[int], chunks: list[TextChunk]) -> RequestOutput:
        reason = chunks[-1].finish_reason
        assert reason is not None
        tokens = tuple(t for c in chunks for t in c.token_ids)
        return RequestOutput(
            prompt, tuple(ids), (CompletionOutput(0, "".join(c.text for c in chunks), tokens, reason),)
        )

    def _write(self, ids: list[int], params: SamplingParams) -> Iterator[TextChunk]:
        """Prefill, then decode until something ends the text."""
        seed = secrets.randbits(63) if params.seed is None else params.seed
        ends = () if params.ignore_eos else self.model.config.eos_token_ids
        text = _Text(self.tokenizer, params)
        for position, token in enumerate(self._tokens(ids, params, seed), start=1):
            reason: FinishReason | None = (
                "stop" if token in ends else "length" if position == params.max_tokens else None
            )
            shown, stopped = text.push(token, last=reason is not None, silent=token in ends)
            reason = "stop" if stopped else reason
            yield TextChunk(shown, (token,), reason)
            if reason is not None:
                return

    @torch.inference_mode()
    def _prefill(self, ids: list[int], cache: ContiguousCache) -> torch.Tensor:
        """Read the whole prompt at once, fill the cache, and score (V,) what follows its last token."""
        hidden = self.model.hidden_states(torch.tensor([ids], device=self.model.device), cache)
        return self.model.logits(hidden[0, -1])

    def _tokens(self, ids: list[int], params: SamplingParams, seed: int) -> Iterator[int]:
        """One token after another; the cache has room for `max_tokens`."""
        cache = self.model.new_cache(1, len(ids) + params.max_tokens)
        logits = self._prefill(ids, cache)
        decode = DecodeLoop(self.model, cache)
        for position in range(params.max_tokens):
            noise = uniform_noise(seed, 0, position)
            token = sample_token(logits, params.temperature, params.top_k, params.top_p, noise)
            yield token
            logits = decode.step(torch.tensor([[token]], device=self.model.device))[0]


class _Text:
    """The text so far, of which everything that could begin a stop string is held back."""

    def __init__(self, tokenizer: Tokenizer, params: SamplingParams):
        self.decoder, self.stops = StreamDecoder(tokenizer), params.stop
        self.held = ""

    def push(self, token: int, *, last: bool, silent: bool) -> tuple[str, bool]:
        """A token -> (text that may be shown, whether a stop string ended it). `silent` tokens have no text of their own."""
        self.held += "" if silent else self.decoder.push(token)
        if last:
            self.held += self.decoder.flush()
        cut = min((self.held.find(s) for s in self.stops if s in self.held), default=-1)
        if cut >= 0:
            return self.held[:cut], True
        keep = (
            0
            if last
            else max((n for s in self.stops for n in range(1, len(s)) if self.held.endswith(s[:n])), default=0)
        )
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown, False
