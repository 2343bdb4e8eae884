"""Asking: what a caller hands in, a model, options or prompts, read and checked, and the thread that carries wishes to an engine."""
