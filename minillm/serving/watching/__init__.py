"""Watching: what happened while an engine ran, as steps, as the times of requests, and as totals that a monitor reads."""
