"""Tokens that don't pair up with the shares are taken."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
        self._require_sampled(output, sampled)
"""
NEW = ""
CAUGHT_BY = ("steps_follow_each_other",)
