"""Every route of the native API as something to send requests to, so that a new one is tested without being named."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import orjson

from jobledger.http.app import make_app
from jobledger.http.native.dialect import PREFIX
from jobledger.http.native.job_members import REGISTRATION, TRANSITIONS
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import CURSOR_KEY, NDJSON
from tests.world import ORG, projections

# What stands for the variable parts of a path. A route with another variable needs its line here.
VALUES = {"org": [ORG], "job_id": ["1"], "verb": list(TRANSITIONS)}
# Bodies that are accepted while job 1 runs, by the path's last word; ``{}`` for those not here.
BODIES: dict[str, Any] = {"jobs": {"type": "copy", "name": "n"}, "stage": {"stage": "b"}}
COMMAND = {"command": "heartbeat", "id": 1}


@dataclass(frozen=True)
class Target:
    """A method and a path; *pattern* is the path with its variables."""

    method: str
    path: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def last(self) -> str:
        """The last word of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_commands(self) -> bool:
        """Whether it takes a stream, and answers each line for itself."""
        return self.last == "commands"

    @property
    def body(self) -> bytes | None:
        """A body that is accepted; None where none is taken."""
        if self.method != "POST":
            return None
        return orjson.dumps(COMMAND if self.is_commands else BODIES.get(self.last, {}))

    @property
    def media_type(self) -> str | None:
        """What the body is."""
        if self.method != "POST":
            return None
        return NDJSON if self.is_commands else "application/json"

    @property
    def members(self) -> dict[str, Any]:
        """The readers of the body's members."""
        return dict(TRANSITIONS[self.last].readers if self.last in TRANSITIONS else REGISTRATION)


def all_targets() -> list[Target]:
    """Every route, each with the values of its variables; HEAD goes with GET."""
    app = make_app(Ledger(Database("postgresql://nowhere"), projections()), cursor_key=CURSOR_KEY)
    targets = []
    for route in app.router.routes():
        if route.method == "HEAD" or route.resource is None:
            continue
        pattern = route.resource.canonical
        if not pattern.startswith(PREFIX):
            continue
        names = [name for name in VALUES if f"{{{name}}}" in pattern]
        for values in product(*(VALUES[name] for name in names)):
            path = pattern
            for name, value in zip(names, values, strict=True):
                path = path.replace(f"{{{name}}}", value)
            assert "{" not in path, f"say in VALUES what stands for the variables of {path}"
            targets.append(Target(route.method, path, pattern))
    return targets


TARGETS = all_targets()
POSTS = [it for it in TARGETS if it.method == "POST"]
DOCUMENT_POSTS = [it for it in POSTS if not it.is_commands]
