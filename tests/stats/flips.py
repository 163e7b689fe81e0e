"""Answers of two variants with a given table of changes."""


def flips(lost: int, gained: int, same: int) -> tuple[list[bool], list[bool]]:
    return [True] * lost + [False] * gained + [True] * same, [False] * lost + [True] * gained + [True] * same
