"""A batch that is full waits on."""

FILE = "minillm/serving/simulate.py"
OLD = "while scheduler.num_waiting < scheduler.config.num_seats and self.now < until:"
NEW = "while self.now < until:"
CAUGHT_BY = ("a_static_batch_waits_for_company_no_longer_than_asked",)
