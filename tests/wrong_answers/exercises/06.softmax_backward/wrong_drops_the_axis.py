"""Lets the sum broadcast along the wrong axis; for one row it works."""

LAYER = "contract"


def answer(p, dp):
    return p * (dp - (p * dp).sum(-1))
