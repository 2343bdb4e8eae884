"""A prompt that may not be cut is cut to what is left of the step."""

FILE = "minillm/serving/schedule/step.py"
OLD = "if count < known <= self.config.max_num_batched_tokens and not self.config.cuts_prompts:"
NEW = "if False:"
CAUGHT_BY = (
    "an_uncut_prompt_waits_for_a_step_with_room",
    "random_days",
)
