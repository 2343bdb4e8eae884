"""A proposer that raises ends the step."""

FILE = "minillm/serving/engine.py"
OLD = "        except Exception:\n            self.num_failed_proposals"
NEW = "        except KeyError:\n            self.num_failed_proposals"
CAUGHT_BY = ("proposers_may_be_wrong_in_any_way",)
