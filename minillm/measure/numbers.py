"""The one question every formula and every configuration asks first: is this a number, or a switch, that means something?

A formula that accepts minus one layer answers with nonsense later; refusing it here names the argument.
"""

from __future__ import annotations

import math
from numbers import Real

from minillm.errors import InvalidType, InvalidValue, nearest_divisors, rule_numbers_remedy


def require_number(**numbers: object) -> None:
    """Raise InvalidType for what is no real number; NumPy's are."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Real):
            rule, remedy = f"{name} must be a number", "pass a plain int or float"
            raise InvalidType(rule_numbers_remedy(rule, f"{number!r:.60}", remedy))


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


def require_switch(**switches: object) -> None:
    """Raise InvalidType for one that is neither True nor False."""
    for name, value in switches.items():
        if value is not True and value is not False:
            raise InvalidType(rule_numbers_remedy(f"{name} must be True or False", repr(value), "pass a bool"))


def require_power_of_two(*, at_least: int = 1, **numbers: int) -> None:
    """Raise what `require_whole` raises, and InvalidValue for a number between two powers of two, naming both."""
    for name, number in numbers.items():
        require_whole(at_least=at_least, **{name: number})
        if number & (number - 1):
            below = 1 << number.bit_length() - 1
            remedy = f"use {below} or {2 * below}"
            raise InvalidValue(rule_numbers_remedy(f"{name} must be a power of two", str(number), remedy))


def require_heads(num_heads: int, num_kv_heads: int) -> None:
    """Raise InvalidType or InvalidValue unless both are whole numbers from 1, and the second divides the first."""
    require_whole(num_heads=num_heads, num_kv_heads=num_kv_heads)
    if num_heads % num_kv_heads:
        rule, near = "num_heads must be a multiple of num_kv_heads", nearest_divisors(num_heads, num_kv_heads)
        raise InvalidValue(rule_numbers_remedy(rule, f"{num_heads} and {num_kv_heads}", f"nearest valid: {near}"))
