"""Continuous batches wait for company too."""

FILE = "minillm/serving/simulate.py"
OLD = 'if not self.delay or scheduler.config.policy != "static" or scheduler.num_running:'
NEW = "if not self.delay or scheduler.num_running:"
CAUGHT_BY = ("a_static_batch_waits_for_company_no_longer_than_asked",)
