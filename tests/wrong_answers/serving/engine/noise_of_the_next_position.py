"""The noise is that of one position further on."""

FILE = "minillm/serving/writing/answer.py"
OLD = "uniform_noise(self.answer.seed, self.index, position)"
NEW = "uniform_noise(self.answer.seed, self.index, position + 1)"
CAUGHT_BY = (
    "random_days",
    "samples_share_the_prompt",
)
