"""Ignores the width of a parameter."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    return parameters <= memory_bytes and parameters / bandwidth <= seconds_per_token
