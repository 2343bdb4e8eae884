"""Forgets that reading takes time."""

LAYER = "values"


def answer(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token):
    return parameters * bytes_per_parameter <= memory_bytes
