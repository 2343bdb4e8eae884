"""A text that lost its blocks waits behind everybody who came since."""

FILE = "minillm/serving/schedule/step.py"
OLD = """\
        self.waiting.push(request)
        self.preempted"""
NEW = """\
        self.scheduler._num_added += 1
        request.arrival = self.scheduler._num_added
        self.waiting.push(request)
        self.preempted"""
CAUGHT_BY = (
    "who_was_preempted_goes_before_who_never_ran",
    "random_days",
)
