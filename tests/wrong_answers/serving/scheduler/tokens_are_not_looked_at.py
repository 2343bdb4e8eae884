"""Tokens that don't pair up with the shares are taken."""

FILE = "minillm/serving/scheduler.py"
OLD = """\
        output.require_tokens(sampled)
"""
NEW = ""
CAUGHT_BY = ("steps_follow_each_other",)
