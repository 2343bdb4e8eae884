"""The training text as batches of token windows, each a function of the seed and the step.

Nothing is drawn from a generator that runs along with the training, so a resumed run reads what an uninterrupted one reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.errors import InvalidValue
from minillm.model.practice import drill, rename
from minillm.model.recipe import Recipe
from minillm.model.tokenizer import Tokenizer


class Batches:
    """The training tokens in windows: every epoch cuts them at another offset and shuffles them anew.

    Some windows, chosen by chance, are practice (see `practice`) on what would have stood there; `names` are the kinds of
    ids that a renaming exchanges.
    """

    def __init__(self, stream: Tensor, recipe: Recipe, seed: int, names: Sequence[Tensor] = ()):
        self.stream, self.recipe, self.seed, self.names = stream, recipe, seed, names
        for context in {recipe.context, recipe.long_context}:
            if self.per_epoch(context) < recipe.batch_tokens // context:
                rule = f"a batch needs {recipe.batch_tokens // context} windows of {context} tokens"
                raise InvalidValue(f"{rule}; the text has {self.per_epoch(context)}; use more text or a smaller batch.")

    def per_epoch(self, context: int) -> int:
        """How many whole windows one reading of the text gives, wherever it is cut."""
        return (len(self.stream) - 1) // context - 1

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Step -> inputs and targets (rows, context), a function of (seed, step) alone."""
        context = self.recipe.context_at(step)
        rows = self.recipe.batch_tokens // context
        first = (step if step < self.recipe.long_from else step - self.recipe.long_from) * rows
        places = [divmod(first + row, self.per_epoch(context)) for row in range(rows)]
        random = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 65_537 + 1)
        windows = [self._practised(self._window(epoch, index, context), step, random) for epoch, index in places]
        stacked = torch.stack(windows)
        return stacked[:, :-1], stacked[:, 1:]

    def _practised(self, window: Tensor, step: int, random: torch.Generator) -> Tensor:
        """The window, or practice in its place."""
        recipe, chance = self.recipe, torch.rand((), generator=random)
        drills = recipe.drills_at(step)
        if chance < drills:
            return drill(window, recipe.config.vocab_size, random)
        if chance < drills + recipe.renamed:
            return rename(window, self.names, recipe.config.vocab_size, random)
        return window

    def _window(self, epoch: int, index: int, context: int) -> Tensor:
        random = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) * 65_537 + context)
        shift = int(torch.randint(context, (1,), generator=random))
        start = shift + int(torch.randperm(self.per_epoch(context), generator=random)[index]) * context
        return self.stream[start : start + context + 1]


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """All texts as one line of ids, an end token after each."""
    eos = tokenizer.eos_token_id
    return torch.tensor([i for text in texts for i in (*tokenizer.encode(text), eos)], dtype=torch.int64)
