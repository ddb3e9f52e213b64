"""The maintenance dialect's manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.maintenance.dialect import MAINTENANCE
from jobledger.http.maintenance.schedules import NEW_SCHEDULE, RUN
from tests.http.dialects.manners import SCHEDULE_ID, Body, Manners, Target, basic, json_body, uuid_sample
from tests.http.dialects.wrong import WRONG_TEXT
from tests.http.serving import Reply

DAILY = {"time_expression": "0 0 4 ? * * *", "scheduler_type": "time-based"}
WRONG_FLAG = ["", "maybe", "1", "yes", "%00"]


class MaintenanceManners(Manners):
    """``status`` and ``response`` with ``error``; the org is in the path."""

    dialect = MAINTENANCE
    org_variable = "org"
    samples: ClassVar = {"schedule_id": uuid_sample(SCHEDULE_ID, "2", "3")}
    challenge = 'Bearer realm="job ledger", Basic realm="job ledger"'
    volatile = (rb'(?<=At":")[^"]+', rb'(?<="responseCreated":")[^"]+', rb'(?<="created_at":")[^"]+')
    moments = frozenset({"responseCreated"})
    wrong_members: ClassVar = {
        "time_expression": [*WRONG_TEXT, "0" * 2_001],
        "scheduler_type": [*WRONG_TEXT, "event-based", "Time-Based"],
        "full_build": [1, 0, "x", "", [], {}],
    }
    wrong_parameters: ClassVar = {"active": WRONG_FLAG}

    def body(self, target: Target) -> Body | None:
        if target.method != "POST":
            return None
        return json_body({}) if target.last == "run-immediately" else json_body(DAILY, is_due=True)

    def members(self, target: Target) -> Mapping[str, Any]:
        return RUN if target.last == "run-immediately" else NEW_SCHEDULE

    def parameters(self, target: Target) -> Sequence[str]:
        return ["active"] if target.method == "GET" and "/scheduler/" in target.pattern else []

    def queries(self, target: Target) -> Sequence[str]:
        return ["active=true", "active=false"] if self.parameters(target) else []

    def capability(self, target: Target) -> str | None:
        return "schedules.read" if target.method == "GET" else "schedules.manage"

    def login_headers(self, login: str, password: str) -> dict[str, str]:
        return {"Authorization": f"Basic {basic(login, password)}"}

    def status(self, target: Target, meant: int) -> int:
        """403 is never sent, and what was deleted is as if it had never been."""
        return {403: 401, 410: 404}.get(meant, meant)

    def outside_domains(self, target: Target) -> int | None:
        """Schedules are of no domain."""
        return None

    def faults(self, target: Target, reply: Reply) -> list[str]:
        document = reply.document
        if list(document) != ["status", "responseCreated", "response"]:
            return [f"has members {list(document)}"]
        if int(document["status"]["code"]) != reply.status:
            return [f"says {document['status']['code']}"]
        is_told = list(document["response"]) == ["error"] and document["response"]["error"]
        return [] if is_told else [f"says {document['response']}"]

    def named(self, document: Any) -> list[str]:
        """As the sentence begins with it."""
        problems = document["response"]["error"].split("; ")
        return [f"{it[0].lower()}{it[1:]}".partition(" ")[0] for it in problems]
