"""Calls a claim possible when it is faster than the limit."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    weights = parameters * bytes_per_parameter
    return weights <= memory_bytes and weights / bandwidth >= seconds_per_token
