"""Tokens one at a time -> text that may be shown: no half characters, and nothing that could begin a stop string.

A stop string may arrive in pieces, and once its first letters are on the reader's screen they cannot be taken back. So
whatever could still become one is held until the next tokens decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from minillm.model.tokenizer import Tokenizer


class TextStream:
    """The text of one answer as it is written; `stops` are the strings that end it, and are cut off.

    Stop strings that are complete within the first `min_tokens` tokens don't count, as in vLLM.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = (), min_tokens: int = 0):
        self.decoder, self.stops = tokenizer.stream(), tuple(stops)
        self._free_tokens = min_tokens  # tokens to come whose text ends no stop string
        self._held = ""  # text that is not shown yet
        self._decided = 0  # how many of its characters were there when stop strings did not count yet

    def push(self, token: int, *, last: bool = False, silent: bool = False) -> tuple[str, bool]:
        """A token -> (the text that may be shown, whether a stop string ended it there).

        `last` gives out everything that is still held; `silent` tokens, those that end a text, have no text of their own.
        """
        new = "" if silent else self.decoder.push(token)
        if last:
            new += self.decoder.flush()
        if not self.stops:
            return new, False
        self._held += new
        if self._free_tokens:
            self._free_tokens -= 1
            self._decided = len(self._held)
        else:
            cut = self._first_stop()
            if cut is not None:
                shown, self._held = self._held[:cut], ""
                return shown, True
        keep = 0 if last else self._could_begin()
        count = len(self._held) - keep
        shown, self._held = self._held[:count], self._held[count:]
        self._decided = max(0, self._decided - count)
        return shown, False

    def _first_stop(self) -> int | None:
        """Where the earliest stop string begins that ends behind what is decided."""
        places = (self._held.find(s, max(0, self._decided - len(s) + 1)) for s in self.stops)
        return min((place for place in places if place >= 0), default=None)

    def _could_begin(self) -> int:
        """How many characters at the end of the held text are the beginning of a stop string."""
        held = self._held
        return max((n for s in self.stops for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
