"""A batch is formed while all are busy."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "if not self._line or not self.num_free:"
NEW = "if not self._line:"
CAUGHT_BY = ["a_batch_forms_only_when_somebody_is_free", "nobody_waits_for_company_without_a_delay"]
