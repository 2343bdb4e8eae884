"""Gauss's sum."""


def answer(prompt, new):
    return new * prompt + new * (new - 1) // 2
