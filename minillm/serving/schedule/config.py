"""What a scheduler may do: how many tokens a step, how many texts at once, and by which rules.

Frozen, and checked when it is built. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.errors import InvalidValue, rule_numbers_remedy, unknown_name
from minillm.measure.numbers import require_switch, require_whole

Policy = Literal["budget", "splitfuse", "prefill_first", "static"]
CHOICES = {
    "policy": ("budget", "splitfuse", "prefill_first", "static"),
    "memory": ("optimistic", "reserve"),
    "order": ("fcfs", "priority"),
}


@dataclass(frozen=True)
class SchedulerConfig:
    """The rules of one scheduler; the names are vLLM's.

    max_num_batched_tokens        tokens computed in one step at most
    max_num_seqs                  texts running at once at most; never more than tokens in a step
    max_model_len                 positions the model has; None for no limit
    policy                        who is served in a step: see `policies`
    memory                        "optimistic" admits while there are blocks and takes the newest text's away when there are
                                  none left; "reserve" admits only what can never run out
    order                         "fcfs": as they were added; "priority": lower `priority` first, then as they were added
    enable_chunked_prefill        whether a prompt may be computed over several steps
    long_prefill_token_threshold  tokens of one prompt in one step at most; None for no limit but the step's
    enable_prefix_caching         whether blocks computed for one text are found again by another
    max_num_waiting               requests that may wait at most; None for no limit

    Raises InvalidType or InvalidValue when built.
    """

    max_num_batched_tokens: int = 2048
    max_num_seqs: int = 128
    max_model_len: int | None = None
    policy: Policy = "budget"
    memory: Literal["optimistic", "reserve"] = "optimistic"
    order: Literal["fcfs", "priority"] = "fcfs"
    enable_chunked_prefill: bool = True
    long_prefill_token_threshold: int | None = None
    enable_prefix_caching: bool = True
    max_num_waiting: int | None = None

    def __post_init__(self) -> None:
        require_whole(max_num_batched_tokens=self.max_num_batched_tokens, max_num_seqs=self.max_num_seqs)
        for name in ("max_model_len", "long_prefill_token_threshold", "max_num_waiting"):
            if getattr(self, name) is not None:
                require_whole(**{name: getattr(self, name)})
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)
        require_switch(enable_chunked_prefill=self.enable_chunked_prefill)
        require_switch(enable_prefix_caching=self.enable_prefix_caching)
        if self.policy == "splitfuse" and not self.enable_chunked_prefill:
            rule = "splitfuse cuts prompts to fill its steps"
            raise InvalidValue(
                rule_numbers_remedy(rule, "enable_chunked_prefill=False", "allow chunks, or use policy='budget'")
            )

    @property
    def cuts_prompts(self) -> bool:
        """Whether a prompt may be computed over several steps: allowed, and the policy does it."""
        return self.enable_chunked_prefill and self.policy in ("budget", "splitfuse")

    @property
    def num_seats(self) -> int:
        """How many texts run at once at most, so that each can have a token in every step."""
        return min(self.max_num_seqs, self.max_num_batched_tokens)
