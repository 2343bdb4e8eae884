"""Scheduling: what a scheduler may do, how it gives out a step, and what it must remember from one step to the next."""
