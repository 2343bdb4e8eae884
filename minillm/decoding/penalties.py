"""Scores pushed down for what was said before: repetition, presence and frequency penalties, and tokens that may not come yet.

A penalty touches only the tokens that a text has used, so each text keeps a list of them and how often each came. The list
grows by one token a step and is never counted anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class TokenCounts:
    """How often each token came in one text: `ids` (U,), `in_output` (U,) int64, tokens of the prompt with 0.

    `follow(output)` counts only what was added since the last call. Keep one for a text that is asked for every step.
    """

    # A text that was cut back, as one is after rejected drafts, is looked through from so far before its end.
    LOOK_BACK = 64

    def __init__(self, prompt_token_ids: Sequence[int] = ()):
        self._place: dict[int, int] = {}
        self._ids, self._in_output = np.zeros(16, np.int64), np.zeros(16, np.int64)
        self._followed: list[int] = []
        for token in dict.fromkeys(prompt_token_ids):
            self._find(token)
        self._num_in_prompt = len(self._place)

    def follow(self, output_token_ids: Sequence[int]) -> TokenCounts:
        """Count this text's output -> self. It may since have grown, or been cut back and written on.

        What was followed is trusted where the last LOOK_BACK tokens of both, or the first of those, agree.
        """
        same = self._agree(output_token_ids)
        for token in self._followed[same:]:
            self._in_output[self._place[token]] -= 1
        del self._followed[same:]
        for token in output_token_ids[same:]:
            place = self._find(token)  # which may move the lists: first of all
            self._in_output[place] += 1
            self._followed.append(token)
        return self

    @property
    def ids(self) -> Tensor:
        """(U,) int64: every token of prompt and output, each once."""
        return torch.from_numpy(self._ids[: len(self._place)][self._is_used])

    @property
    def in_output(self) -> Tensor:
        """(U,) int64: how often each came in the output."""
        return torch.from_numpy(self._in_output[: len(self._place)][self._is_used])

    @property
    def _is_used(self) -> np.ndarray:
        """A token that was counted back keeps its place in the list, and is no token of the text."""
        used = self._in_output[: len(self._place)] > 0
        used[: self._num_in_prompt] = True
        return used

    def _agree(self, output_token_ids: Sequence[int]) -> int:
        """How many tokens at the beginning of both texts are the same."""
        ours, both = self._followed, min(len(self._followed), len(output_token_ids))
        start = max(0, both - self.LOOK_BACK)
        if start and ours[start] != output_token_ids[start]:
            start = 0
        return next((i for i in range(start, both) if ours[i] != output_token_ids[i]), both)

    def _find(self, token: int) -> int:
        """Where a token stands in the list, at the end if it is new."""
        place = self._place.setdefault(token, len(self._place))
        if place == len(self._ids):
            self._ids, self._in_output = (np.concatenate((x, np.zeros_like(x))) for x in (self._ids, self._in_output))
        self._ids[place] = token
        return place


def has_penalties(params: Any) -> bool:
    """Whether any of the three is switched on."""
    return params.repetition_penalty != 1 or params.presence_penalty != 0 or params.frequency_penalty != 0


def forbid(scores: Tensor, banned: Collection[int]) -> None:
    """scores (V,): these tokens can't be chosen."""
    scores[torch.tensor(list(banned), device=scores.device)] = -torch.inf


def penalise(scores: Tensor, params: Any, counts: TokenCounts) -> None:
    """scores (V,), in place: first repetition (tokens of prompt and output), then presence and frequency (of the output).

    Repetition is CTRL's rule (Keskar et al., 2019): a positive score is divided by the penalty and a negative one multiplied.
    Presence takes a fixed amount off, frequency the same amount for every time (OpenAI's names).
    """
    ids, in_output = counts.ids.to(scores.device), counts.in_output.to(scores.device)
    if not len(ids):
        return
    used = scores[ids]
    if params.repetition_penalty != 1:
        used = torch.where(used > 0, used / params.repetition_penalty, used * params.repetition_penalty)
    if params.frequency_penalty:
        used = used - params.frequency_penalty * in_output
    if params.presence_penalty:
        used = used - params.presence_penalty * (in_output > 0)
    scores[ids] = used
