"""Logic statements of `when` and `unless`, evaluated after substitution."""

from __future__ import annotations

import math
import re

from tests.orb.parameters import ConfigError


def holds(condition: object) -> bool:
    """Whether a substituted condition is true, by CircleCI's rules of truth."""
    if not isinstance(condition, dict):
        return _is_truthy(condition)
    if len(condition) != 1:
        raise ConfigError(f"a condition has one operator, found {sorted(condition)}")
    (operator, operand), *_ = condition.items()
    match operator:
        case "and":
            return all(holds(item) for item in _items(operator, operand))
        case "or":
            return any(holds(item) for item in _items(operator, operand))
        case "not":
            return not holds(operand)
        case "equal":
            first, *rest = _items(operator, operand)
            return all(type(item) is type(first) and item == first for item in rest)
        case "matches":
            return _matches(operand)
        case _:
            raise ConfigError(f"unknown operator {operator!r} in a condition")


def _is_truthy(value: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return not (value is None or value is False or value in ("", 0) or value == [] or is_nan)


def _items(operator: str, operand: object) -> list[object]:
    if not isinstance(operand, list) or not operand:
        raise ConfigError(f"{operator} expects a list with items, found {operand!r}")
    return operand


def _matches(operand: object) -> bool:
    """Whether the whole value matches the pattern."""
    if not isinstance(operand, dict) or operand.keys() != {"pattern", "value"}:
        raise ConfigError(f"matches expects pattern and value, found {operand!r}")
    return re.fullmatch(str(operand["pattern"]), str(operand["value"])) is not None
