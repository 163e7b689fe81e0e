"""Which numbers the audit withholds, and which it warns of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any

from contrapeso.report.measurement import Check

Key = tuple[str, str]
"""(variant, task) of a number."""


def invalid_numbers(checks: Sequence[Check], tolerated: Collection[str]) -> dict[Key, str]:
    """Numbers that are worthless, and why; the first failing check speaks."""
    reasons: dict[Key, str] = {}
    for check in checks:
        if check.status == "fail" and check.check not in tolerated:
            for key, reason in zip(check.affects, check.reasons or repeat(check.detail), strict=False):
                reasons.setdefault(key, f"{check.check}: {reason}")
    return reasons


def warnings(checks: Sequence[Check], tolerated: Collection[str], key: Key) -> list[str]:
    """What is to be read beside a number: checks that warn of it, and checks that fail but were told to let it pass."""
    named = [c.check for c in checks if key in c.warns or (c.status == "warn" and key in c.affects)]
    return named + [f"{c.check} failed, allowed" for c in checks if c.check in tolerated and key in c.affects]


def validity(invalid: Mapping[Key, str], keys: Sequence[Key]) -> dict[str, Any]:
    """Whether a number made from these measurements stands; if not, which one fell, by name if one of many."""
    for variant, task in keys:
        if (variant, task) in invalid:
            reason = invalid[variant, task]
            return {"valid": False, "invalid_reason": reason if len(keys) == 1 else f"{variant} on {task}: {reason}"}
    return {"valid": True}
