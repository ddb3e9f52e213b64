"""Every route of the native API as something to send requests to, so that a new one is tested without being named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import orjson

from jobledger.http.app import make_app
from jobledger.http.native.diagrams import CREATION, DIAGRAM, TEMPLATE, TEMPLATE_CHANGE
from jobledger.http.native.dialect import PREFIX
from jobledger.http.native.holds import NEW_HOLD, RELEASE
from jobledger.http.native.job_members import MANAGEMENT, REGISTRATION, TRANSITIONS
from jobledger.http.native.principals import (
    CHANGE,
    NEW_PRINCIPAL,
    OWN_PASSWORD,
    PASSWORD,
    REASON,
    VERBS,
)
from jobledger.http.native.tokens import NEW_TOKEN
from jobledger.http.native.workflow import STEPS
from jobledger.http.native.workflow_members import JOB_MEMBERS
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import CURSOR_KEY, NDJSON, OWNER_PASSWORD
from tests.world import ORG, projections

# A token of principal 2.
TOKEN_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
PRINCIPAL_PATH = "/ledger/v1/{org}/principals/{principal_id}"
# What stands for the variable parts of a path. A route with another variable needs its line here.
VALUES = {
    "org": [ORG],
    "job_id": ["1"],
    "principal_id": ["2"],
    "token_id": [TOKEN_ID],
    "hold_id": ["1"],
    "diagram_id": ["1"],
    "number": ["2", "-1"],
    "template_id": ["2"],
}
# Attachments are no documents: these paths have tests of their own.
APART = "/ledger/v1/{org}/jobs/{job_id}/attachments"
VERBS_BELOW = {PRINCIPAL_PATH: list(VERBS), "/ledger/v1/{org}/jobs/{job_id}": list(TRANSITIONS)}
# Bodies that are accepted while job 1 runs, by the path's last word, and for a principal; ``{}`` for those not here.
BODIES: dict[str, Any] = {
    "jobs": {"type": "copy", "name": "n"},
    "stage": {"stage": "b"},
    "principals": {"name": "carol", "roles": ["client"]},
    "2": {"roles": ["client"]},
    "password": {"password": "correct horse"},
    "tokens": {"principal_id": 2},
    "steps": {"action": "run"},
    "diagrams": {"name": "d", "steps": [{"id": "a"}]},
    "templates": {"name": "t", "diagram_id": 1},
    "holds": {"name": "case 7", "reason": "a lawsuit", "filter": {"type": "copy"}},
    "manage": {"action": "retain", "job_ids": [1]},
    "policy": {"rules": [], "reason": "law"},
    "release": {"reason": "settled"},
    "delete": {"reason": "asked for"},
    "erase": {"reason": "asked for"},
}
OWN_PASSWORD_PATH = "/ledger/v1/{org}/me/password"
# The members of bodies by the pattern of the path; those of verbs are their own.
MEMBERS: dict[str, Mapping[str, Any]] = {
    "/ledger/v1/{org}/jobs": REGISTRATION,
    "/ledger/v1/{org}/principals": NEW_PRINCIPAL,
    PRINCIPAL_PATH: CHANGE,
    f"{PRINCIPAL_PATH}/password": PASSWORD,
    OWN_PASSWORD_PATH: OWN_PASSWORD,
    "/ledger/v1/{org}/tokens": NEW_TOKEN,
    "/ledger/v1/{org}/tokens/{token_id}/revoke": REASON,
    "/ledger/v1/{org}/jobs/{job_id}/update": JOB_MEMBERS,
    "/ledger/v1/{org}/jobs/{job_id}/upgrade": {},
    "/ledger/v1/{org}/jobs/{job_id}/steps": STEPS,
    "/ledger/v1/{org}/diagrams": DIAGRAM,
    "/ledger/v1/{org}/diagrams/{diagram_id}": DIAGRAM,
    "/ledger/v1/{org}/diagrams/{diagram_id}/versions/{number}/activate": {},
    "/ledger/v1/{org}/templates": TEMPLATE,
    "/ledger/v1/{org}/templates/{template_id}": TEMPLATE_CHANGE,
    "/ledger/v1/{org}/templates/{template_id}/jobs": CREATION,
    "/ledger/v1/{org}/jobs/manage": MANAGEMENT,
    "/ledger/v1/{org}/holds": NEW_HOLD,
    "/ledger/v1/{org}/holds/{hold_id}/release": RELEASE,
}
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
        if self.method not in ("POST", "PUT"):
            return None
        if self.pattern == OWN_PASSWORD_PATH:
            return orjson.dumps({"current": OWNER_PASSWORD, "password": OWNER_PASSWORD})
        if self.pattern.endswith("/{template_id}") or self.pattern.endswith("/{template_id}/jobs"):
            return b"{}"
        if self.pattern.endswith("/{diagram_id}"):
            return b"{}"
        return orjson.dumps(COMMAND if self.is_commands else BODIES.get(self.last, {}))

    @property
    def media_type(self) -> str | None:
        """What the body is."""
        if self.method not in ("POST", "PUT"):
            return None
        return NDJSON if self.is_commands else "application/json"

    @property
    def members(self) -> dict[str, Any]:
        """The readers of the body's members."""
        if self.pattern in MEMBERS and "{verb}" not in self.pattern:
            return dict(MEMBERS[self.pattern])
        return dict(TRANSITIONS[self.last].readers if self.last in TRANSITIONS else VERBS[self.last].readers)

    @property
    def is_for_everybody(self) -> bool:
        """Whether it needs no capability."""
        return "/me" in self.path


def all_targets() -> list[Target]:
    """Every route, each with the values of its variables; HEAD goes with GET."""
    app = make_app(Ledger(Database("postgresql://nowhere"), projections()), cursor_key=CURSOR_KEY)
    targets = []
    for route in app.router.routes():
        if route.method == "HEAD" or route.resource is None:
            continue
        pattern = route.resource.canonical
        if not pattern.startswith(PREFIX) or pattern.startswith(APART):
            continue
        values_of = {**VALUES, "verb": VERBS_BELOW.get(pattern.removesuffix("/{verb}"), [])}
        names = [name for name in values_of if f"{{{name}}}" in pattern]
        for values in product(*(values_of[name] for name in names)):
            path = pattern
            for name, value in zip(names, values, strict=True):
                path = path.replace(f"{{{name}}}", value)
            assert "{" not in path, f"say in VALUES what stands for the variables of {path}"
            targets.append(Target(route.method, path, pattern))
    return targets


TARGETS = all_targets()
POSTS = [it for it in TARGETS if it.method == "POST"]
DOCUMENT_POSTS = [it for it in POSTS if not it.is_commands]
