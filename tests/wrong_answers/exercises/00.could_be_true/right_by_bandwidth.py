"""Asks for the bandwidth that the claim needs."""


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    weights = parameters * bytes_per_parameter
    if weights > memory_bytes:
        return False
    needed = weights / seconds_per_token
    return needed <= bandwidth
