"""What is trained, and for how long: the bundled models' sizes and schedules, as plain data.

Attention over short windows is cheap and teaches most of what a small model can learn, so a run begins with short ones and
ends with windows as long as the model will ever see.
"""

from __future__ import annotations

from dataclasses import dataclass

from minillm.model.config import ModelConfig

TINY = ModelConfig(
    vocab_size=2048,
    hidden_size=256,
    intermediate_size=448,
    num_layers=4,
    num_heads=8,
    num_kv_heads=2,
    # Wide heads and slow rotations: a head that looks for a token again needs room that position does not disturb.
    head_dim=64,
    rope_theta=100_000.0,
    max_position_embeddings=1024,
    eos_token_ids=(0,),
)
_SMALLER = TINY.with_(rope_theta=10_000.0)
DRAFT = _SMALLER.with_(hidden_size=96, intermediate_size=256, num_layers=2, num_heads=4, head_dim=24)
SIBLING = _SMALLER.with_(
    hidden_size=128, intermediate_size=384, num_kv_heads=8, head_dim=16, max_position_embeddings=512
)


@dataclass(frozen=True)
class Recipe:
    """A model and its schedule. Contexts and batches are in tokens, rates per step, shares of the whole run.

    The first steps read windows of `context` tokens, the last `long_share` of them windows of `long_context`; every batch
    holds `batch_tokens`. Rates rise over `warmup` and fall to nothing over `cooldown`, in straight lines. A run with
    `drills` begins from weights that can copy, and keeps them at it: half of the windows are drills for the first
    `drilled_tokens`, and that share of them from then on. A share of `renamed` windows has its names exchanged.
    """

    config: ModelConfig
    tokens: int
    context: int = 256
    long_context: int = 1024
    long_share: float = 0.2
    batch_tokens: int = 2048
    matrix_rate: float = 0.02
    other_rate: float = 4e-3
    warmup: float = 0.02
    cooldown: float = 0.7
    curve_points: int = 12
    weight_decay: float = 0.01  # of the matrices
    drills: float = 0.0
    drilled_tokens: int = 500_000
    renamed: float = 0.0
    calibrate: bool = False  # whether the finished model's confidence is set on text that neither side has read

    @property
    def steps(self) -> int:
        """How many batches make up `tokens`."""
        return max(1, self.tokens // self.batch_tokens)

    @property
    def long_from(self) -> int:
        """The first step that reads long windows."""
        return round(self.steps * (1 - self.long_share))

    def context_at(self, step: int) -> int:
        """The window of a step, in tokens."""
        return self.long_context if step >= self.long_from else self.context

    def drills_at(self, step: int) -> float:
        """The chance of a window to be a drill in copying."""
        return 0.5 if self.drills and step * self.batch_tokens < self.drilled_tokens else self.drills

    def rate_at(self, step: int) -> float:
        """What the rates are multiplied by at a step: up, level, down."""
        done = (step + 1) / self.steps
        return min(1.0, done / self.warmup, max(0.0, 1 - step / self.steps) / self.cooldown)


def _sibling(num_kv_heads: int) -> Recipe:
    return Recipe(SIBLING.with_(num_kv_heads=num_kv_heads), tokens=2_000_000, long_context=512, curve_points=8)


PRESETS = {
    # It reads the text four times over. Without drills and renaming it would come to know the training side's names by
    # heart and unlearn to copy, and the held-out side's names are new.
    "tiny": Recipe(
        TINY,
        tokens=12_000_000,
        long_share=0.3,
        drills=0.05,
        renamed=0.25,
        weight_decay=0.05,
        calibrate=True,
    ),
    "tiny-draft": Recipe(DRAFT, tokens=6_000_000),
    "sibling-mha": _sibling(8),
    "sibling-gqa": _sibling(2),
    "sibling-mqa": _sibling(1),
}
