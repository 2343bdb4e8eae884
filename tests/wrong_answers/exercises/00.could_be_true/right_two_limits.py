"""Both limits, written out."""


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    weights = parameters * bytes_per_parameter
    fits = weights <= memory_bytes
    fast_enough = weights / bandwidth <= seconds_per_token
    return fits and fast_enough
