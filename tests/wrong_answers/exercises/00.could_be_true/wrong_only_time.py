"""Forgets that the weights must fit."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    return parameters * bytes_per_parameter / bandwidth <= seconds_per_token
