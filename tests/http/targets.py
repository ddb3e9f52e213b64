"""Every route of the application as something to send requests to, so that a new one is tested without being named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from jobledger.http.app import SPOKEN, make_app
from jobledger.http.dialect import Dialects
from jobledger.http.operation import ByWord, declared
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.http.dialects.copies import CopiesManners
from tests.http.dialects.fetches import FetchesManners
from tests.http.dialects.maintenance import MaintenanceManners
from tests.http.dialects.manners import Manners, Target
from tests.http.dialects.native import NativeManners
from tests.http.dialects.space import SpaceManners
from tests.http.dialects.workflow import WorkflowManners
from tests.http.serving import CURSOR_KEY
from tests.world import ORG, projections

# What is known of each dialect. One that is not here fails every test that walks the routes.
ALL = (NativeManners(), FetchesManners(), CopiesManners(), WorkflowManners(), MaintenanceManners(), SpaceManners())
MANNERS: dict[str, Manners] = {it.dialect.name: it for it in ALL}
NATIVE = MANNERS["native"]
# Paths of no dialect, about the server and no org: anybody may ask, and is told the same.
OF_NO_ORG = {"/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"}


def all_targets() -> Iterator[Target]:
    """Every route of every dialect, each with the values of its variables; HEAD goes with GET."""
    app = make_app(Ledger(Database("postgresql://nowhere"), projections()), cursor_key=CURSOR_KEY)
    for route in app.router.routes():
        if route.method == "HEAD":
            continue
        assert route.resource is not None
        pattern = route.resource.canonical
        if pattern not in OF_NO_ORG:
            said, path = declared(route.handler), pattern
            if isinstance(said, ByWord):
                path = pattern.replace(f"{{{said.variable}}}", next(iter(said.operations)))
            assert Dialects(SPOKEN).owner(path) is not None, f"{pattern} is of no dialect: say so in OF_NO_ORG"
            yield from _targets(route.method, pattern, manners_of(path))


def manners_of(path: str) -> Manners:
    """Those of the dialect whose path it is, or of the one that answers on paths of nobody."""
    dialects = Dialects(SPOKEN)
    dialect = dialects.owner(path) or dialects.first
    assert dialect.name in MANNERS, f"say in tests/http/dialects how the dialect {dialect.name} is spoken"
    return MANNERS[dialect.name]


def _targets(method: str, pattern: str, manners: Manners) -> Iterator[Target]:
    choices = {name: [it.there] for name, it in manners.samples.items()} | dict(manners.words(pattern))
    if manners.org_variable is not None:
        choices[manners.org_variable] = [ORG]
    names = [name for name in choices if f"{{{name}}}" in pattern]
    for values in product(*(choices[name] for name in names)):
        target = Target(method, pattern, tuple(zip(names, values, strict=True)), manners)
        assert "{" not in target.path, f"say in the manners of {manners.dialect.name} what stands for {target.path}"
        yield target


TARGETS = list(all_targets())
# Those that one must be let in for.
GUARDED = [it for it in TARGETS if not it.is_open]
# Each path in one spelling.
ROUTES = [it for it in TARGETS if ("slash", "") not in it.values]
POSTS = [it for it in ROUTES if it.body is not None]
DOCUMENT_POSTS = [it for it in POSTS if not it.is_commands and not it.is_upload]
