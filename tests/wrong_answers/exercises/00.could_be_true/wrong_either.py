"""One limit is not enough."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    weights = parameters * bytes_per_parameter
    return weights <= memory_bytes or weights / bandwidth <= seconds_per_token
