"""A proposer that raises ends the step."""

FILE = "minillm/serving/speculation/guesses.py"
OLD = "                request.draft_token_ids = list(map(index, takewhile(self._is_token, ids)))\n        except Exception:"
NEW = "                request.draft_token_ids = list(map(index, takewhile(self._is_token, ids)))\n        except KeyError:"
CAUGHT_BY = ("proposers_may_be_wrong_in_any_way",)
