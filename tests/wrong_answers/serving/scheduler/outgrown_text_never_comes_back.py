"""A text that came back longer than a step is never let in where prompts may not be cut."""

FILE = "minillm/serving/schedule/step.py"
OLD = "if count < known <= self.config.max_num_batched_tokens and not"
NEW = "if count < known and not"
CAUGHT_BY = (
    "a_text_that_outgrew_the_step_is_cut_when_it_comes_back",
    "random_days",
)
