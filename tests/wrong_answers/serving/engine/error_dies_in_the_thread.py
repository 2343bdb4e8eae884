"""A request that is refused is never told so."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "                mail.put(error)\n\n        with"
NEW = "                pass\n\n        with"
CAUGHT_BY = ("errors_reach_the_one_who_asked",)
