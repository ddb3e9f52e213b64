"""What a dialect is: the paths it owns, the forms it speaks, how it knows callers and how it says an error.

A dialect is one value of ``Dialect`` in a module of its own; the application finds it by the path, so that whatever happens
on a path of it, also what no handler ever sees, is said in its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from aiohttp import web

from jobledger.http.members import Reader
from jobledger.http.negotiation import JSON, XML, Form
from jobledger.http.problem import status_of_class
from jobledger.http.schema import Schema
from jobledger.ledger.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a dialect says it. A *document* that is a string goes out as text/plain, as it is."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way of speaking with the ledger.

    name:           what events say in ``via``
    prefixes:       paths that begin so are its own; of two dialects the longer prefix decides
    pattern:        further paths of its own, looked at only where no prefix fits
    forms:          what its answers and its errors come in, the default first
    root:           the root element of its documents; None: a document's one outer key is its root
    refuse:         how it says an error, which may be any exception; must never fail itself
    error_forms:    what its errors come in, the default first: the forms of ``forms``, where they have a type of their own
    error_root:     the root element of its errors
    error_namespace: the XML namespace of its errors
    challenge:      the ``WWW-Authenticate`` of its 401
    schemes:        the words before credentials that it takes, in lower case, each as "bearer" or "basic"
    org:            the org that a path is of; None: whatever org the caller is of
    authorization:  the ``Authorization`` of a request, None for none
    open_paths:     paths that need no credentials: where a caller has yet to get some
    open_pattern:   of further such paths
    variables:      readers of the variables in its paths, by their names
    title:          what the API's description calls it
    error_schema:   the schema of its errors' documents
    status:         the status of errors of a class, as ``refuse`` says it
    passed_over:    parameters that each of its paths takes, and no handler looks at
    further_schemes: where else it takes credentials, as OpenAPI's security schemes by their names
    """

    name: str
    prefixes: tuple[str, ...]
    refuse: Callable[[BaseException, web.Request], Refusal]
    challenge: str
    pattern: re.Pattern[str] | None = None
    forms: tuple[Form, ...] = (JSON, XML)
    root: str | None = "response"
    error_forms: tuple[Form, ...] = (JSON, XML)
    error_root: str = "response"
    error_namespace: str | None = None
    schemes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"bearer": "bearer", "basic": "basic"}))
    org: Callable[[web.Request], str | None] = lambda request: None
    authorization: Callable[[web.Request], str | None] = lambda request: request.headers.get("Authorization")
    open_paths: frozenset[str] = frozenset()
    open_pattern: re.Pattern[str] | None = None
    variables: Mapping[str, Reader[Any]] = field(default_factory=lambda: MappingProxyType({}))
    title: str
    error_schema: Schema
    status: Callable[[type[LedgerError]], int] = status_of_class
    passed_over: frozenset[str] = frozenset()
    further_schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    def is_open(self, path: str) -> bool:
        """Whether a request of *path* needs no credentials to be let in."""
        return path in self.open_paths or (self.open_pattern is not None and bool(self.open_pattern.fullmatch(path)))

    def credentials(self, request: web.Request) -> str | None:
        """What the request shows, as an ``Authorization`` of Bearer or Basic; None for nothing that this dialect takes."""
        scheme, _, rest = (self.authorization(request) or "").partition(" ")
        word = self.schemes.get(scheme.lower())
        return None if word is None else f"{word} {rest}"


class Dialects:
    """The dialects of a server. The first one answers on paths that are nobody's."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self.first = dialects[0]
        self._all = tuple(dialects)
        by_prefix = [(prefix, dialect) for dialect in dialects for prefix in dialect.prefixes]
        self._by_prefix = sorted(by_prefix, key=lambda it: -len(it[0]))
        self._by_pattern = [(it.pattern, it) for it in dialects if it.pattern is not None]

    def __iter__(self) -> Iterator[Dialect]:
        return iter(self._all)

    def owner(self, path: str) -> Dialect | None:
        """The dialect that owns *path*, None for a path of nobody."""
        # What all paths of a dialect begin with is a path of its own too.
        asked = path if path.endswith("/") else f"{path}/"
        for prefix, dialect in self._by_prefix:
            if asked.startswith(prefix):
                return dialect
        return next((it for pattern, it in self._by_pattern if pattern.match(path)), None)
