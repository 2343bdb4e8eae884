"""The one question every formula and every configuration asks first: is this a number that means something?

A formula that accepts minus one layer answers with nonsense later; refusing it here names the argument.
"""

from __future__ import annotations

import math

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy


def require_positive(**numbers: float) -> None:
    """Raise InvalidType for what is not a number, InvalidValue for what is not finite and above zero."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidType(
                rule_numbers_remedy(f"{name} must be a number", repr(number), "pass a plain int or float")
            )
        if not (number > 0 and math.isfinite(number)):
            raise InvalidValue(
                rule_numbers_remedy(f"{name} must be finite and above zero", repr(number), "pass a positive number")
            )


def require_whole(*, at_least: int = 1, **numbers: int) -> None:
    """Raise InvalidType for what is not a whole number, InvalidValue for one below `at_least`."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int):
            rule = f"{name} must be a whole number"
            raise InvalidType(rule_numbers_remedy(rule, repr(number), f"use {at_least} or more"))
        if number < at_least:
            rule = f"{name} must be at least {at_least}"
            raise InvalidValue(rule_numbers_remedy(rule, str(number), f"use {at_least} or more"))
