"""The condition of a search, as clients write it: ``priority = 'High' AND (closed = 0 OR NOT jobName LIKE '%draft%')``.

    condition  = all *( OR all )          all  = one *( AND one )
    one        = NOT one | ( condition ) | field operator value | field [NOT] IN ( value, … ) | field IS [NOT] NULL
    operator   = = <> != < <= > >= LIKE   value = 'text' with '' for a quote | number | true | false

Words are known in any case. Comparing what a job does not have holds never, as does its opposite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jobledger.http.members import instant
from jobledger.ledger.errors import InvalidCommandError
from jobledger.projections.job_search import (
    BOOLEAN,
    INSTANT,
    MEMBERS,
    NUMBER,
    TEXT,
    Any_,
    Comparison,
    Condition,
    Every,
    IsAbsent,
    Not,
    OneOf,
)

LONGEST_CONDITION = 4_000
MOST_TERMS = 100
DEEPEST = 20
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d{1,15}(?:\.\d{1,15})?)|(?P<word>[A-Za-z_]\w{0,60})"
    r"|(?P<sign><>|!=|<=|>=|[=<>(),]))",
    re.ASCII,
)


class ConditionReader:
    """Reads one condition. *fields* are the members of jobs by what clients call them, in lower case."""

    def __init__(self, text: str, fields: Mapping[str, str], states: Mapping[str, str]) -> None:
        self._fields = fields
        self._states = states
        self._tokens = self._split(text)
        self._next = 0

    def read(self) -> Condition:
        """The whole condition. Raises InvalidCommandError."""
        condition = self._any(0)
        if self._next < len(self._tokens):
            raise fault(f"{self._tokens[self._next][1]} is not expected")
        return condition

    def _split(self, text: str) -> list[tuple[str, str]]:
        if len(text) > LONGEST_CONDITION:
            raise fault(f"is longer than {LONGEST_CONDITION} characters")
        tokens: list[tuple[str, str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise fault(f"cannot be read from character {position + 1} on")
            assert match.lastgroup is not None
            tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        if sum(kind == "word" for kind, _ in tokens) > 4 * MOST_TERMS or len(tokens) > 20 * MOST_TERMS:
            raise fault(f"has more than {MOST_TERMS} terms")
        return tokens

    def _any(self, depth: int) -> Condition:
        conditions = self._joined("OR", lambda: self._joined_all(depth))
        return conditions[0] if len(conditions) == 1 else Any_(tuple(conditions))

    def _joined_all(self, depth: int) -> Condition:
        conditions = self._joined("AND", lambda: self._one(depth))
        return conditions[0] if len(conditions) == 1 else Every(tuple(conditions))

    def _joined(self, word: str, read: Callable[[], Condition]) -> list[Condition]:
        conditions = [read()]
        while self._takes(word):
            conditions.append(read())
        return conditions

    def _one(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise fault(f"nests deeper than {DEEPEST} levels")
        if self._takes("NOT"):
            return Not(self._one(depth + 1))
        if self._takes("("):
            condition = self._any(depth + 1)
            self._expect(")")
            return condition
        kind, word = self._take()
        member = self._fields.get(word.lower()) if kind == "word" else None
        if member is None:
            raise fault(f"{word} is no field that can be searched by")
        if self._takes("IS"):
            is_not = self._takes("NOT")
            self._expect("NULL")
            return Not(IsAbsent(member)) if is_not else IsAbsent(member)
        is_not = self._takes("NOT")
        if self._takes("IN"):
            self._expect("(")
            values = [self._value(member)]
            while self._takes(","):
                values.append(self._value(member))
            self._expect(")")
            return Not(OneOf(member, tuple(values))) if is_not else OneOf(member, tuple(values))
        operator = self._take()[1].upper()
        operator = "<>" if operator == "!=" else operator
        if operator not in ("=", "<>", "<", "<=", ">", ">=", "LIKE"):
            raise fault(f"{operator} is no operator")
        if operator == "LIKE" and MEMBERS[member].type != TEXT:
            raise fault(f"{word} is no text")
        comparison = Comparison(member, operator, self._value(member, is_pattern=operator == "LIKE"))
        return Not(comparison) if is_not else comparison

    def _value(self, member: str, *, is_pattern: bool = False) -> Any:
        kind, word = self._take()
        text = word[1:-1].replace("''", "'") if kind == "text" else word
        if kind not in ("text", "number") and word.lower() not in ("true", "false"):
            raise fault(f"{word} is no value")
        return self._typed(member, text, is_pattern=is_pattern)

    def _typed(self, member: str, text: str, *, is_pattern: bool) -> str | float | bool | datetime:
        match MEMBERS[member].type:
            case kind if kind == NUMBER:
                try:
                    value = float(text)
                except ValueError:
                    raise fault(f"{text[:40]} is no number") from None
                return value / 100 if member == "progress" else value
            case kind if kind == BOOLEAN:
                known = {"1": True, "true": True, "0": False, "false": False}
                if text.lower() not in known:
                    raise fault(f"{text[:40]} is neither true nor false")
                return known[text.lower()]
            case kind if kind == INSTANT:
                try:
                    read: datetime = instant(text)
                except ValueError as error:
                    raise fault(f"{text[:40]} {error}") from None
                return read
        if "\0" in text:
            raise fault("holds a NUL character")
        return self._states.get(text.lower(), text) if member == "state" and not is_pattern else text

    def _take(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise fault("ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _takes(self, word: str) -> bool:
        """Whether *word* is next; if so it is taken."""
        if self._next >= len(self._tokens):
            return False
        kind, given = self._tokens[self._next]
        is_next = kind in ("word", "sign") and given.upper() == word
        self._next += is_next
        return is_next

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise fault(f"lacks a {word}")


def fault(problem: str) -> InvalidCommandError:
    """What is wrong with a condition."""
    return InvalidCommandError(
        f"The condition q cannot be read: {problem}.", errors=[{"member": "q", "problem": problem}]
    )
