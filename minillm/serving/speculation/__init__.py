"""Speculation: who guesses the next tokens of a text, and an engine's dealings with whoever does."""
