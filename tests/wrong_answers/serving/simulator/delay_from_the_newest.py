"""The delay begins anew with every arrival."""

FILE = "minillm/serving/simulate.py"
OLD = "until = min((request"
NEW = "until = max((request"
CAUGHT_BY = ("a_static_batch_waits_for_company_no_longer_than_asked",)
