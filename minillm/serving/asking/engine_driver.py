"""One thread that steps an engine, and the tasks that wait for it: what they wish is done between two steps.

The thread alone touches the engine. A wish is left with the driver, in the order it was made; what a step wrote goes to the
mailbox of the task that asked, in that task's own event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from minillm.errors import InvalidValue, MinillmError, rule_numbers_remedy
from minillm.serving.asking.prompts import ReadPrompt
from minillm.serving.engine import LLMEngine
from minillm.serving.outputs import RequestOutput, TextChunk
from minillm.serving.sampling_params import SamplingParams


class EngineClosed(InvalidValue):
    """The engine takes no more requests."""


class Mailbox:
    """Where one request's chunks go, and its answer last: a queue in the event loop of the task that asked."""

    def __init__(self, *, wants_chunks: bool = True):
        self.loop, self.wants_chunks = asyncio.get_running_loop(), wants_chunks
        self.request_id: str | None = None  # once the engine has it, until it has ended
        self._items: asyncio.Queue[TextChunk | RequestOutput | BaseException] = asyncio.Queue()

    async def take(self) -> TextChunk | RequestOutput:
        """The next chunk, or the answer; raises what became of the request instead."""
        item = await self._items.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def put(self, *items: TextChunk | RequestOutput | BaseException) -> None:
        """From the engine's thread."""
        with suppress(RuntimeError):  # the loop was closed, and its tasks with it
            self.loop.call_soon_threadsafe(self._put, items)

    def _put(self, items: tuple[TextChunk | RequestOutput | BaseException, ...]) -> None:
        for item in items:
            self._items.put_nowait(item)


class EngineDriver:
    """An engine and the one thread that touches it. Wishes are done between two steps, in the order they were made."""

    def __init__(self, engine: LLMEngine):
        self.engine = engine
        self._wishes: deque[Callable[[], None]] = deque()
        self._mail: dict[str, Mailbox] = {}  # by request id; the thread's own
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def ask(self, prompt: ReadPrompt, params: SamplingParams, mail: Mailbox, **said: Any) -> None:
        """Let a prompt be answered, from the next step on. Raises EngineClosed."""

        def add() -> None:
            try:
                mail.request_id = self.engine.add(prompt, params, **said)
                self._mail[mail.request_id] = mail
            except Exception as error:
                mail.put(error)

        with self._changed:
            if self._is_closing:
                rule, remedy = "a closed engine takes no requests", "open another one"
                raise EngineClosed(rule_numbers_remedy(rule, "one more", remedy))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="minillm engine", daemon=True)
                self._thread.start()
            self._wish(add)

    def abort(self, mail: Mailbox) -> None:
        """Nobody waits for this request any more; nothing happens if it has ended."""

        def drop() -> None:
            if mail.request_id is not None:
                self._mail.pop(mail.request_id, None)
                self.engine.discard(mail.request_id)
                mail.request_id = None

        with self._changed:
            self._wish(drop)

    def close(self, *, drain: bool) -> None:
        """Take no more requests; the thread ends when those that came have."""
        with self._changed:
            self._is_closing = True
            if not drain:
                self._wish(lambda: self._end_all(None))
            self._changed.notify()

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None:
            self._thread.join()

    def _wish(self, do: Callable[[], None]) -> None:
        self._wishes.append(do)
        self._changed.notify()

    def _run(self) -> None:
        while self._has_work():
            try:
                self._do_wishes()
                self._hand_out(self.engine.step())
            except Exception as error:  # a listener's, say: what fails in the model ends one text only
                self._end_all(error)
            except BaseException as error:  # sys.exit, say: nobody may wait for a thread that is gone, so it stays
                stopped = MinillmError(f"{error!r} was raised in the engine's thread; ask again.")
                stopped.__cause__ = error
                self._end_all(stopped)

    def _has_work(self) -> bool:
        """Wait for some. False once there will be none."""
        with self._changed:
            while not (self._wishes or self.engine.has_unfinished or self._is_closing):
                self._changed.wait()
            return bool(self._wishes or self.engine.has_unfinished)

    def _do_wishes(self) -> None:
        while self._wishes:  # one at a time: should one raise, the others are still there
            with self._changed:
                do = self._wishes.popleft()
            do()

    def _hand_out(self, chunks: list[TextChunk]) -> None:
        ending: dict[str, Mailbox] = {}  # ended after all chunks are out, for several of its texts may end in one step
        for chunk in chunks:
            mail = self._mail.get(chunk.request_id or "")
            if mail is None:
                continue
            if mail.wants_chunks:
                mail.put(chunk)
            if chunk.finish_reason is not None:
                ending[chunk.request_id or ""] = mail
        for mail in ending.values():
            self._end_if_finished(mail)

    def _end_if_finished(self, mail: Mailbox) -> None:
        name = mail.request_id
        assert name is not None
        output = self.engine.output(name)
        if output.is_finished:
            mail.put(output)
            del self._mail[name]
            self.engine.discard(name)
            mail.request_id = None

    def _end_all(self, error: Exception | None) -> None:
        """Abort everything, because of an error or because nobody is to wait any longer."""
        ending, self._mail = self._mail, {}
        for name, mail in ending.items():
            mail.request_id = None
            if error is not None:
                mail.put(error)
                with suppress(Exception):  # an engine that is broken is not mended here; the next request will say so
                    self.engine.discard(name)
                continue
            self.engine.abort(name)
            output = self.engine.output(name)
            if mail.wants_chunks:
                mail.put(
                    *(TextChunk("", (), "abort", o.index, name) for o in output.outputs if o.finish_reason == "abort")
                )
            mail.put(output)
            self.engine.discard(name)
