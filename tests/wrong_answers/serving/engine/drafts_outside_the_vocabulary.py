"""Whatever a proposer names is embedded."""

FILE = "minillm/serving/engine.py"
OLD = "takewhile(lambda token: 0 <= token < vocab_size, ids)"
NEW = "ids"
CAUGHT_BY = ("proposers_may_be_wrong_in_any_way",)
