"""The engine behind asyncio: any number of tasks ask at once, one thread steps, and nobody waits for a step to be over.

A task leaves its wish and goes to sleep; the thread takes all wishes between two steps, and wakes those for whom a step wrote
something. A task that is cancelled, or drops its stream, takes its request along.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import torch

from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer
from minillm.serving.asking.engine_driver import EngineDriver, Mailbox
from minillm.serving.asking.opened_model import open_model
from minillm.serving.asking.prompts import Prompt
from minillm.serving.engine import LLMEngine
from minillm.serving.metrics import EngineMetrics
from minillm.serving.outputs import RequestOutput, TextChunk
from minillm.serving.sampling_params import SamplingParams


class AsyncLLM:
    """A model and its tokenizer for many tasks at once; arguments are LLM's.

    `async for chunk in llm.stream(prompt, params)` and `await llm.generate(prompt, params)`, from any number of tasks and
    event loops. `async with AsyncLLM(...) as llm`, or `await llm.aclose()`, ends the thread.
    """

    def __init__(
        self,
        model: str | Path | Decoder,
        tokenizer: str | Path | Tokenizer | None = None,
        *,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        **options: Any,
    ):
        opened = open_model(model, tokenizer, dtype=dtype, device=device)
        self.name, self.model, self.tokenizer = opened.name, opened.model, opened.tokenizer
        self.engine = LLMEngine(opened.model, opened.tokenizer, **options)
        self._driver = EngineDriver(self.engine)
        # The thread knows only the driver, so that it ends with the last one who could ask it anything.
        self._finalizer = weakref.finalize(self, self._driver.close, drain=False)

    @property
    def metrics(self) -> EngineMetrics:
        """Of the engine."""
        return self._driver.engine.metrics

    async def stream(
        self, prompt: Prompt, params: SamplingParams | None = None, *, priority: int = 0, salt: str | None = None
    ) -> AsyncIterator[TextChunk]:
        """One prompt -> TextChunks as they are written. Raises what `LLM.stream` raises, and EngineClosed.

        Leaving the loop early, by an exception or a cancelled task too, aborts the request.
        """
        params = params if params is not None else SamplingParams()
        mail = Mailbox()
        self._driver.ask(self._driver.engine.read(prompt, params), params, mail, priority=priority, salt=salt)
        try:
            while isinstance(item := await mail.take(), TextChunk):
                yield item
        finally:
            self._driver.abort(mail)

    async def generate(
        self, prompt: Prompt, params: SamplingParams | None = None, *, priority: int = 0, salt: str | None = None
    ) -> RequestOutput:
        """One prompt -> its answer. Raises what `stream` raises; a cancelled task aborts the request."""
        params = params if params is not None else SamplingParams()
        mail = Mailbox(wants_chunks=False)
        self._driver.ask(self._driver.engine.read(prompt, params), params, mail, priority=priority, salt=salt)
        try:
            output = await mail.take()
        finally:
            self._driver.abort(mail)
        assert isinstance(output, RequestOutput)
        return output

    async def aclose(self, *, drain: bool = True) -> None:
        """Take no more requests. `drain` writes those that came to their ends; otherwise they are aborted, and end so."""
        self._driver.close(drain=drain)
        await asyncio.to_thread(self._driver.join)

    async def __aenter__(self) -> AsyncLLM:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.aclose(drain=kind is None)

    def __repr__(self) -> str:
        return f"AsyncLLM({self.name!r}, {self._driver.engine!r})"
