"""Writing: chosen tokens become answers, with their texts shown piece by piece and ended for a reason."""
