"""Batching: the parts of the dynamic batcher, from a request's place in line to the rule by which a batch leaves."""
