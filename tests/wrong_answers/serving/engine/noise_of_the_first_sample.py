"""All n texts are drawn by the noise of the first."""

FILE = "minillm/serving/writing/answer.py"
OLD = "uniform_noise(self.answer.seed, self.index, position)"
NEW = "uniform_noise(self.answer.seed, 0, position)"
CAUGHT_BY = ("samples_share_the_prompt",)
