"""Takes the time to read all memory, used or not: a claim fails on a bigger card."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    return parameters * bytes_per_parameter <= memory_bytes and memory_bytes / bandwidth <= seconds_per_token
