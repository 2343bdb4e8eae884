"""Prompts are cut though that was switched off."""

FILE = "minillm/serving/schedule/config.py"
OLD = "return self.enable_chunked_prefill and self.policy in"
NEW = "return self.policy in"
CAUGHT_BY = (
    "an_uncut_prompt_waits_for_a_step_with_room",
    "drawn_days",
)
