"""What a query says, as clients write it, with where it goes wrong.

filter=((job-state eq 'DONE') and not (name contains 'x'))    paging=(start eq 0, limit eq 2)
sortby=(name(descending))    fields=(id,name)    domainContext=(filterDomainIds eq 65537)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from jobledger.ledger.errors import InvalidCommandError
from jobledger.projections.job_search import Any_, Condition, Every, Not

LONGEST = 2_000
MOST_TOKENS = 500
DEEPEST = 20
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*'|\"[^\"]*\")|(?P<sign>[(),])|(?P<word>[^\s(),'\"]+))",
)
OPERATORS = ("eq", "ne", "lt", "gt", "le", "ge", "contains", "starts-with")


class Token(NamedTuple):
    """A piece of an expression, where it begins, from 1, and whether it is a text in quotes."""

    text: str
    place: int
    is_quoted: bool = False


class Expression:
    """Reads one expression of the parameter *name*. Raises InvalidCommandError naming the place."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._end = len(text) + 1
        self._tokens = self._split(text)
        self._next = 0

    def fault(self, problem: str, token: Token | None) -> InvalidCommandError:
        """What to raise of a token, None for the end."""
        place = self._end if token is None else token.place
        return InvalidCommandError(f"{self._name} is malformed at character {place}: {problem}.", parameter=self._name)

    def _split(self, text: str) -> list[Token]:
        if len(text) > LONGEST:
            raise InvalidCommandError(f"{self._name} is longer than {LONGEST} characters.", parameter=self._name)
        tokens: list[Token] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                here = len(text[:position]) + len(text[position:]) - len(text[position:].lstrip()) + 1
                raise self.fault("a quote is not closed", Token("", here))
            kind = match.lastgroup or "word"
            shown = match[kind]
            if kind == "text":
                shown = shown[1:-1].replace("''", "'") if shown[0] == "'" else shown[1:-1]
            tokens.append(Token(shown, match.start(kind) + 1, kind == "text"))
            position = match.end()
        if len(tokens) > MOST_TOKENS:
            raise InvalidCommandError(f"{self._name} has more than {MOST_TOKENS} words.", parameter=self._name)
        return tokens

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self, *words: str) -> bool:
        """Whether the next token is one of these words; it is passed then."""
        token = self._peek()
        if token is None or token.is_quoted or token.text.lower() not in words:
            return False
        self._next += 1
        return True

    def must(self, *words: str) -> Token:
        """Pass one of these words, which must come."""
        token = self._peek()
        if not self.take(*words):
            raise self.fault(f"{' or '.join(words)} is due", token)
        assert token is not None
        return token

    def word(self, what: str) -> Token:
        """The next token, which must be a word."""
        token = self._peek()
        if token is None or token.is_quoted or token.text in ("(", ")", ","):
            raise self.fault(f"{what} is due", token)
        self._next += 1
        return token

    def value(self) -> Token:
        """The next token, which must be a value."""
        token = self._peek()
        if token is None or (not token.is_quoted and token.text in ("(", ")", ",")):
            raise self.fault("a value is due", token)
        self._next += 1
        return token

    def must_end(self) -> None:
        """Nothing may follow."""
        if (token := self._peek()) is not None:
            raise self.fault(f"{token.text[:40]} is not expected", token)

    def condition(self, compared: Callable[[Expression, Token, str, Token], Condition]) -> Condition:
        """The whole expression as a condition; *compared* reads a comparison of a field, an operator and a value."""
        condition = self._any(compared, 0)
        self.must_end()
        return condition

    def _any(self, compared: Callable[[Expression, Token, str, Token], Condition], depth: int) -> Condition:
        found = [self._all(compared, depth)]
        while self.take("or"):
            found.append(self._all(compared, depth))
        return found[0] if len(found) == 1 else Any_(tuple(found))

    def _all(self, compared: Callable[[Expression, Token, str, Token], Condition], depth: int) -> Condition:
        found = [self._one(compared, depth)]
        while self.take("and"):
            found.append(self._one(compared, depth))
        return found[0] if len(found) == 1 else Every(tuple(found))

    def _one(self, compared: Callable[[Expression, Token, str, Token], Condition], depth: int) -> Condition:
        if depth > DEEPEST:
            raise self.fault(f"it nests deeper than {DEEPEST} levels", self._peek())
        if self.take("not"):
            return Not(self._one(compared, depth + 1))
        if self.take("("):
            condition = self._any(compared, depth + 1)
            self.must(")")
            return condition
        field = self.word("a field")
        operator = self.must(*OPERATORS).text.lower()
        return compared(self, field, operator, self.value())


class Paging(NamedTuple):
    """Which of the matches are shown."""

    start: int
    limit: int


LARGEST_START, LARGEST_LIMIT = 2**31 - 1, 1_000
ALL = Paging(0, LARGEST_LIMIT)


def read_paging(text: str) -> Paging:
    """``(start eq 0, limit eq 2)``, either alone too."""
    read = Expression("paging", text)
    read.must("(")
    given: dict[str, int] = {}
    while True:
        name = read.must("start", "limit")
        read.must("eq")
        value = read.value()
        most = LARGEST_START if name.text.lower() == "start" else LARGEST_LIMIT
        if not (value.text.isascii() and value.text.isdecimal() and len(value.text) < 11 and int(value.text) <= most):
            raise read.fault(f"a number of at most {most} is due", value)
        if name.text.lower() in given:
            raise read.fault(f"{name.text} is given more than once", name)
        given[name.text.lower()] = int(value.text)
        if not read.take(","):
            break
    read.must(")")
    read.must_end()
    return Paging(given.get("start", 0), given.get("limit", LARGEST_LIMIT))


class Sorting(NamedTuple):
    """The field that the matches are sorted by."""

    field: str
    is_descending: bool


def read_sorting(text: str, fields: frozenset[str]) -> Sorting:
    """``(name(descending))``: of several fields the first."""
    read = Expression("sortby", text)
    is_wrapped = read.take("(")
    sortings: list[Sorting] = []
    while True:
        field = read.word("a field")
        if field.text not in fields:
            raise read.fault(f"{field.text[:40]} cannot be sorted by", field)
        is_descending = False
        if read.take("("):
            is_descending = read.must("ascending", "asc", "descending", "desc").text.lower().startswith("desc")
            read.must(")")
        sortings.append(Sorting(field.text, is_descending))
        if not read.take(","):
            break
    if is_wrapped:
        read.must(")")
    read.must_end()
    return sortings[0]


def read_fields(text: str, fields: frozenset[str]) -> frozenset[str]:
    """``(id,name)``."""
    read = Expression("fields", text)
    is_wrapped = read.take("(")
    chosen: set[str] = set()
    while True:
        field = read.word("a field")
        if field.text not in fields:
            raise read.fault(f"there is no field {field.text[:40]}", field)
        chosen.add(field.text)
        if not read.take(","):
            break
    if is_wrapped:
        read.must(")")
    read.must_end()
    return frozenset(chosen)


def read_domain_context(text: str) -> int:
    """``(filterDomainIds eq 65537)``."""
    read = Expression("domainContext", text)
    is_wrapped = read.take("(")
    read.must("filterdomainids")
    read.must("eq")
    value = read.value()
    if not (value.text.isascii() and value.text.isdecimal() and len(value.text) < 11):
        raise read.fault("a number is due", value)
    if is_wrapped:
        read.must(")")
    read.must_end()
    return int(value.text)
