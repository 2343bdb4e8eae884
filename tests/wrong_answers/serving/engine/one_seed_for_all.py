"""A seed is drawn once, for everyone."""

FILE = "minillm/serving/engine.py"
OLD = "seed = self._new_seed() if params.seed is None else params.seed"
NEW = "seed = 5 if params.seed is None else params.seed"
CAUGHT_BY = ("a_request_without_a_seed_gets_one",)
