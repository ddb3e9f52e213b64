"""The native API's manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.native.archives import FILTERS as ARCHIVED_JOB_FILTERS
from jobledger.http.native.archives import PAGES as ARCHIVE_PAGES
from jobledger.http.native.archives import PARTS
from jobledger.http.native.audit import FILTERS as AUDIT_FILTERS
from jobledger.http.native.checkpoints import HISTORY
from jobledger.http.native.copies import FILTERS as COPY_FILTERS
from jobledger.http.native.copies import VERBS as COPY_OPERATIONS
from jobledger.http.native.diagrams import (
    PAGES,
)
from jobledger.http.native.dialect import NATIVE
from jobledger.http.native.events import FILTERS as EVENT_FILTERS
from jobledger.http.native.events import PARAMETERS as EVENT_PARAMETERS
from jobledger.http.native.evidence import PAGE as PROOF_PAGE
from jobledger.http.native.evidence import SIZES
from jobledger.http.native.exports import PAGES as EXPORT_PAGES
from jobledger.http.native.holds import FILTERS as HOLD_FILTERS
from jobledger.http.native.job_members import TRANSITIONS
from jobledger.http.native.jobs import AS_OF, JOB_EVENTS
from jobledger.http.native.jobs import FILTERS as JOB_FILTERS
from jobledger.http.native.policy import PARAMETERS as POLICY_PARAMETERS
from jobledger.http.native.principals import FILTERS as PRINCIPAL_FILTERS
from jobledger.http.native.principals import VERBS
from jobledger.http.native.rollups import FILTERS as ROLLUP_FILTERS
from jobledger.http.native.schedules import FILTERS as SCHEDULE_FILTERS
from jobledger.http.native.schedules import VERBS as SCHEDULE_OPERATIONS
from jobledger.http.native.tokens import FILTERS as TOKEN_FILTERS
from jobledger.http.negotiation import OCTETS, PLAIN
from tests.http.dialects.manners import (
    A_FORM,
    ATTACHMENT_ID,
    MEBIBYTE,
    SCHEDULE_ID,
    Body,
    Manners,
    Sample,
    Target,
    json_body,
    uuid_sample,
)
from tests.http.dialects.native_bodies import BODIES
from tests.http.dialects.native_needs import DONE, DONE_TO_JOBS, DUE, NO_TILES, READ
from tests.http.dialects.wrong import (
    NO_NUMBERS,
    WRONG_BOOLEAN,
    WRONG_DAY,
    WRONG_DETAILS,
    WRONG_EXPORT,
    WRONG_ID,
    WRONG_INSTANT,
    WRONG_JOB_IDS,
    WRONG_LOCATION,
    WRONG_NUMBER,
    WRONG_OBJECT,
    WRONG_PROPERTIES,
    WRONG_TEXT,
    WRONG_TIME,
    WRONG_TIMEOUT,
    WRONG_WORD,
    WRONG_WORDS,
)
from tests.http.serving import NDJSON, Reply

BELOW = "/ledger/v1/{org}/"
JOB_QUERIES = ("as_of=2", "datastream_id=3", "started_from=2000-01-01T00:00:00Z")
# A token of principal 2.
TOKEN_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ABSENT_TOKEN_ID = TOKEN_ID[:-1] + "0"
COMMAND = {"command": "heartbeat", "id": 1}
JOB_VERBS, PRINCIPAL_VERBS = f"{BELOW}jobs/{{job_id}}/{{verb}}", f"{BELOW}principals/{{principal_id}}/{{verb}}"
COPY_VERBS = f"{BELOW}copies/{{copy_id}}/{{verb}}"
SCHEDULE_VERBS = f"{BELOW}schedules/{{schedule_id}}/{{verb}}"


class NativeManners(Manners):
    """Problem documents; the org is in the path."""

    dialect = NATIVE
    org_variable = "org"
    samples: ClassVar = {
        "job_id": Sample("1", "4", "9", ["2", "3", *NO_NUMBERS]),
        "principal_id": Sample("2", "3", "9", NO_NUMBERS),
        "position": Sample("0", "300", "900", ["-1", *NO_NUMBERS[3:], "00", "9223372036854775808"]),
        "size": Sample("1", "300", "900", ["0", "-1", *NO_NUMBERS[3:], "00", "9223372036854775808"]),
        "tile": Sample("000.p/5", "001", "009", [*NO_TILES]),
        "hold_id": Sample("1", "2", "9", NO_NUMBERS),
        "archive_id": Sample("51", "52", "59", NO_NUMBERS),
        "queue_id": Sample("1", "2", "9", NO_NUMBERS),
        "export_id": Sample("61", "62", "69", NO_NUMBERS),
        "copy_id": Sample("7", "6", "9", NO_NUMBERS),
        "diagram_id": Sample("1", "3", "9", ["2", *NO_NUMBERS]),
        "template_id": Sample("2", "4", "9", ["5", *NO_NUMBERS]),
        "attachment_id": uuid_sample(ATTACHMENT_ID, "8", "9"),
        "schedule_id": uuid_sample(SCHEDULE_ID, "2", "3"),
        "token_id": Sample(
            TOKEN_ID,
            TOKEN_ID[:-1] + "1",
            ABSENT_TOKEN_ID,
            ["2", *NO_NUMBERS, TOKEN_ID.upper(), TOKEN_ID.replace("-", ""), f"{{{TOKEN_ID}}}", ABSENT_TOKEN_ID],
        ),
    }
    challenge = 'Bearer realm="job ledger", Basic realm="job ledger"'
    error_types = ("application/problem+json", "application/problem+xml")
    # When an archive was begun, in the names of its files.
    volatile = (rb"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(?=_)",)
    wrong_members: ClassVar = {
        "type": [*WRONG_TEXT, "x" * 201],
        "name": [*WRONG_TEXT, "x" * 501],
        "domain": [*WRONG_TEXT, "x" * 201],
        "priority": [*WRONG_TEXT, "x" * 65],
        "datastream": [
            *WRONG_OBJECT, {}, {"name": "a"}, {"id": None}, {"id": 1.5}, {"id": ""}, {"id": True}, {"id": []},
            {"id": "x" * 201}, {"id": 1, "name": 1}, {"id": 1, "name": ""}, {"id": 1, "other": 1},
        ],
        "stage": [*WRONG_TEXT, "x" * 201],
        "preceding_job_id": WRONG_ID,
        "preceding_external_id": [*WRONG_TEXT, "x" * 501],
        "required_job_ids": WRONG_JOB_IDS,
        "retry_of_job_id": WRONG_ID,
        "source": [*WRONG_TEXT, "x" * 201],
        "external_id": [*WRONG_TEXT, "x" * 501],
        "scheduled_at": WRONG_TIME,
        "heartbeat_timeout": WRONG_TIMEOUT,
        "start_timeout": WRONG_TIMEOUT,
        "backup": WRONG_OBJECT,
        "attributes": WRONG_OBJECT,
        "id": WRONG_ID,
        "state": ["RUNNING", "SCHEDULED", "STALE", "success", "", 1, True, [], {}, "SUCCESS "],
        "started_at": WRONG_TIME,
        "ended_at": WRONG_TIME,
        "reason": [*WRONG_TEXT, "x" * 10_001],
        "progress": [-0.1, 1.1, 2, "x", "0.5", True, [], {}, 1e300],
        "figures": [
            *WRONG_OBJECT, {"a": "1"}, {"a": None}, {"a": True}, {"": 1}, {"x" * 65: 1}, {str(it): 1 for it in range(33)},
        ],
        "message": [*WRONG_TEXT, "x" * 10_001],
        "error": [*WRONG_TEXT, "x" * 10_001],
        "roles": [*WRONG_WORDS, ["x" * 201]],
        "capabilities": [*WRONG_WORDS, ["x" * 201]],
        "home_domain": [*WRONG_TEXT, "x" * 201],
        "domains": [*WRONG_WORDS, ["x" * 201]],
        "all_domains": WRONG_BOOLEAN,
        "password": [*WRONG_TEXT, "x" * 1025, "é" * 513, "a\tb", "a\nb"],
        "current": [*WRONG_TEXT, "x" * 1025],
        "principal": [*WRONG_TEXT, "x" * 65],
        "principal_id": WRONG_ID,
        "expires_in": WRONG_TIMEOUT,
        "expires_at": WRONG_TIME,
        "label": [*WRONG_TEXT, "x" * 201],
        "action": [*WRONG_TEXT, "start", "Close", "jump"],
        "expression": [*WRONG_TEXT, "0" * 2_001],
        **WRONG_DETAILS,
        "location": WRONG_LOCATION,
        "extended_properties": WRONG_PROPERTIES,
        **{key: [*WRONG_WORDS, ["x" * 201]] for key in ("step_ids", "following")},
        "steps": [
            1, "x", True, {}, [1], [{}], [{"id": ""}], [{"id": "a", "next": "b"}], [{"id": "a", "other": 1}],
            [{"id": "a"}] * 1001,
        ],
        "initial_step": [*WRONG_TEXT, "x" * 201],
        "active": WRONG_BOOLEAN,
        "diagram_id": WRONG_ID,
        "defaults": WRONG_OBJECT,
        "number_of_jobs": [*WRONG_ID, 5_001],
        "job_ids": WRONG_JOB_IDS,
        "all_or_none": WRONG_BOOLEAN,
        "until": WRONG_TIME,
        "copy_id": WRONG_ID,
        "scope": [*WRONG_TEXT, "some"],
        "filter": [*WRONG_OBJECT, {"type": ""}, {"state": "RUNNING"}, {"ended_from": "now"}, {"q": "x"}],
        "rules": [1, "x", True, {}, [1], [None], [{"q": 1}], [{"basic_days": -1}], [{"state": "RUNNING"}]],
        "locked": WRONG_BOOLEAN,
        "copies": [
            *(1, "x", True, {}, [0], ["x"], [None], [[1]], [{}], [{"id": 0}], [{"id": 2**31}], [{"id": 1, "state": "x"}]),
            *([{"id": 1, "copied_at": "now"}], [{"id": 1, "other": 1}], [{"id": 1}] * 101),
        ],
        "ended_before": WRONG_TIME,
        **{it: [*WRONG_TEXT, "x" * 1_001] for it in ("cosignature", "key")},
        "token": [*WRONG_TEXT, "é", "MAA", "M A A =", "A" * 90_000],
        "purge": WRONG_BOOLEAN,
        **WRONG_EXPORT,
        "copied_at": WRONG_TIME,
        "storage_policy_id": WRONG_ID,
        "storage_policy_name": [*WRONG_TEXT, "x" * 201],
        "commcell_id": WRONG_ID,
        "copy_type": WRONG_NUMBER,
        "precedence": WRONG_NUMBER,
        "is_default": WRONG_BOOLEAN,
        "is_snap": WRONG_BOOLEAN,
        "is_active": WRONG_BOOLEAN,
    }  # fmt: skip
    wrong_parameters: ClassVar = {
        "reason": ["", "x" * 201, "%00"],
        "state": ["", "running", "EXPLODED", "SUCCESS&state=EXPLODED", "%00"],
        "type": WRONG_WORD,
        "domain": WRONG_WORD,
        "datastream_id": WRONG_WORD,
        "source": WRONG_WORD,
        "external_id": WRONG_WORD,
        **{f"{name}_{end}": WRONG_INSTANT for name in ("scheduled", "started", "ended") for end in ("from", "to")},
        **{f"day_{end}": WRONG_DAY for end in ("from", "to")},
        "q": WRONG_WORD,
        "limit": ["", "0", "-1", "1001", "1.5", "x", "9" * 30, "%00", "%D9%A3", "+1", "1%20"],
        "cursor": ["", "x", "%00", "A" * 32, "A" * 101, "A" * 3_001, "%ff", "é", "=" * 32],
        "fork": ["", "0", "-1", "1.5", "x", "9" * 30, "%00", "%D9%A3", "+1"],
        "after": ["", "-2", "x", "1.5", "9" * 19, "9" * 30, "9" * 5_000, "%00", "1000"],
        "stream": ["", "x" * 101, "%00"],
        # Positions of some, instants of others.
        **{it: [*WRONG_INSTANT, "-1", "x", "1.5", "9" * 19] for it in ("from", "to")},
        "kind": ["", "nonsense", "%00"],
        "outcome": ["", "Denied", "all", "%00"],
        "part": ["", "manifest", "%00"],
        "follow": ["", "yes", "1", "TRUE", "true"],
        "name": ["", "x" * 65, "%00"],
        **{it: ["", "0", "x", "2147483648", "9" * 30, "%00"] for it in ("principal_id", "storage_policy_id", "job_id")},
        "as_of": ["", "maybe", "-1", "1.5", "999999", "9" * 30, "%00", "2026-01-01", "2090-01-01T00:00:00Z"],
        **{
            name: ["", "yes", "1", "TRUE"]
            for name in ("closed", "held", "retained", "active", "dry_run", "deleted", "purged")
        },
    }

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        if "/{level}/" in pattern:
            return {"level": ["0"]}
        if pattern.endswith("/activate"):
            return {"number": ["2"]}
        verbs: dict[str, Mapping[str, Any]] = {
            JOB_VERBS: TRANSITIONS,
            PRINCIPAL_VERBS: VERBS,
            COPY_VERBS: COPY_OPERATIONS,
            SCHEDULE_VERBS: SCHEDULE_OPERATIONS,
        }
        return {"verb": list(verbs[pattern])} if pattern in verbs else {"number": ["2", "-1"]}

    def body(self, target: Target) -> Body | None:
        if target.method not in ("POST", "PUT"):
            return None
        if self.is_commands(target):
            return json_body(COMMAND, media_type=NDJSON)
        if self.is_upload(target):
            return A_FORM
        below = target.pattern.removeprefix(BELOW)
        if below in BODIES:
            document, _ = BODIES[below]
            return json_body(document, is_due=bool(document), limit_bytes=(64 if below == "jobs" else 8) * MEBIBYTE)
        if target.pattern == COPY_VERBS:
            needed = COPY_OPERATIONS[target.last].readers.needed
            return json_body({name: {"job_ids": [1], "reason": "asked for"}[name] for name in needed}, is_due=True)
        return json_body(DUE[target.last], is_due=True) if target.last in DUE else json_body({})

    def members(self, target: Target) -> Mapping[str, Any]:
        below = target.pattern.removeprefix(BELOW)
        if below in BODIES:
            return BODIES[below][1]
        if target.pattern == COPY_VERBS:
            return COPY_OPERATIONS[target.last].readers
        if target.pattern == SCHEDULE_VERBS:
            return SCHEDULE_OPERATIONS[target.last].readers
        return TRANSITIONS[target.last].readers if target.pattern == JOB_VERBS else VERBS[target.last].readers

    def parameters(self, target: Target) -> Sequence[str]:
        if target.method == "DELETE":
            return ["reason"]
        return {
            "jobs": [*JOB_FILTERS],
            "events": [*EVENT_PARAMETERS, *EVENT_FILTERS],
            "jobs/{job_id}": [*AS_OF] if target.method == "GET" else [],
            "jobs/{job_id}/events": [*JOB_EVENTS],
            "audit": [*AUDIT_FILTERS],
            "checkpoint/{size}": [*HISTORY],
            "principals": [*PRINCIPAL_FILTERS],
            "tokens": [*TOKEN_FILTERS],
            "holds": [*HOLD_FILTERS],
            "schedules": [*SCHEDULE_FILTERS],
            "copies": [*COPY_FILTERS],
            "rollups": [*ROLLUP_FILTERS],
            "consistency": [*SIZES],
            "jobs/{job_id}/proof": [*PROOF_PAGE],
            "diagrams": [*PAGES],
            "templates": [*PAGES],
            "archives": [*ARCHIVE_PAGES],
            "exports": [*EXPORT_PAGES],
            "queues": [*PAGES],
            "archives/{archive_id}/jobs": [*ARCHIVED_JOB_FILTERS],
            "archives/{archive_id}/file": [*PARTS],
            "policy": [] if target.method == "GET" else [*POLICY_PARAMETERS],
        }.get(target.pattern.removeprefix(BELOW), [])

    def queries(self, target: Target) -> Sequence[str]:
        return {
            "jobs": ["state=RUNNING", "state=RUNNING&state=SCHEDULED&q=of", *JOB_QUERIES],
            "events": ["stream=job-1", "type=job.registered"],
            "principals": ["name=bob", "as_of=1"],
            "audit": ["job_id=1", "principal_id=2", "type=job.registered&from=2026-01-01T00:00:00Z"],
            "tokens": ["principal_id=2"],
            "holds": ["active=true"],
            "schedules": ["active=true", "deleted=true", "kind=maintenance"],
            "copies": ["storage_policy_id=3"],
            "consistency": ["from=3&to=7"],
            "checkpoint/{size}": ["fork=1"],
            "rollups": ["type=copy", "day_from=2026-01-01&state=SUCCESS"],
        }.get(target.pattern.removeprefix(BELOW), [])

    def due_query(self, target: Target) -> str:
        return "reason=space" if target.method == "DELETE" and target.pattern.endswith("{archive_id}") else ""

    def capability(self, target: Target) -> str | None:
        resource = target.pattern.removeprefix(BELOW).partition("/")[0]
        if target.method == "GET":
            is_file = target.pattern.endswith(("/{archive_id}/file", "/{archive_id}/manifest"))
            return "events.read" if is_file else READ[resource]
        if target.pattern == JOB_VERBS:
            return TRANSITIONS[target.last].command.capability
        if target.pattern == COPY_VERBS:
            return COPY_OPERATIONS[target.last].command.capability
        below = target.pattern.removeprefix(BELOW)
        if below in DONE_TO_JOBS:
            return DONE_TO_JOBS[below]
        if self.is_commands(target):
            return "jobs.update"
        if target.last == "revoke_tokens":
            return "tokens.manage"
        return DONE[resource]

    def besides(self, target: Target) -> frozenset[str]:
        """A queue is its owner's, and those who manage queues."""
        return frozenset({"queues.manage"} if "{queue_id}" in target.pattern else ())

    def outside_domains(self, target: Target) -> int | None:
        """Principals and tokens are of all domains: those who may see some only are told nothing of any. Copies, diagrams,
        templates, schedules and queues are of none.
        """
        if "{copy_id}" in target.pattern or target.pattern.removeprefix(BELOW).startswith(
            ("diagrams", "templates", "schedules", "queues", "checkpoint", "key", "consistency", "tile/{level}")
        ):
            return None
        return 404 if "{job_id}" in target.pattern or "{archive_id}" in target.pattern else 403

    def is_upload(self, target: Target) -> bool:
        return target.method == "POST" and target.pattern.endswith("/attachments")

    def is_commands(self, target: Target) -> bool:
        return target.pattern == f"{BELOW}commands"

    def statuses(self, reply: Reply) -> set[int]:
        documents = [reply.document] if reply.body and reply.headers["Content-Type"] != NDJSON else reply.lines
        return {int(document.get("status", reply.status)) for document in documents}

    def faults(self, target: Target, reply: Reply) -> list[str]:
        is_stream = reply.headers["Content-Type"] == NDJSON
        if is_stream and not target.is_commands:
            return ["is no problem document"]
        faults = []
        offered = NDJSON if target.is_commands else OCTETS.media_type if target.is_file else "application/json"
        if target.last in ("checkpoint", "key"):
            offered = PLAIN.content_type
        for document in reply.lines if is_stream else [reply.document]:
            members = [it for it in document if it != "line"][:6]
            if members != ["type", "title", "status", "detail", "code", "instance"]:
                faults.append(f"has members {members}")
            elif not document["instance"].endswith(reply.headers["X-Request-Id"]):
                faults.append("names another request")
            elif reply.status == 406 and offered not in (document["offered"], document["offered"][0]):
                faults.append("does not say what is offered")
        return faults

    def named(self, document: Any) -> list[str]:
        return [it["member"] for it in document.get("errors", ())]
