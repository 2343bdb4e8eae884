"""Whatever a proposer names is embedded."""

FILE = "minillm/serving/speculation/guesses.py"
OLD = "takewhile(self._is_token, ids)"
NEW = "ids"
CAUGHT_BY = ("proposers_may_be_wrong_in_any_way",)
