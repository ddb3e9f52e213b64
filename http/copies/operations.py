"""``POST {prefix}/V4/Plan/BackupDestination/JobOperations``: six operations on jobs of a copy.

{"storagePolicyId":7,"copyId":9,"commcellId":2,"opType":"RETAIN","jobIds":[1001,1002],"retainUntilTime":1772261149}
→ {"dependentJobsExist":false,"archiverJobsExist":false,"jobInfo":[…],"error":{"errorMessage":"","errorCode":0}}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS, LEDGER
from jobledger.http.copies.answers import OPERATED
from jobledger.http.copies.dialect import PREFIX, operation
from jobledger.http.copies.job_documents import JobDocuments
from jobledger.http.exchange import answer
from jobledger.http.members import LATEST, Members, boolean, integer, list_of, one_of, reads
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.operation import read_body_members, read_parameters
from jobledger.http.schema import STRING
from jobledger.http.xml_document import XmlText
from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.copy_operations import (
    MOST_JOBS,
    AllowCopy,
    CopyOperation,
    DeleteFromCopy,
    DisallowAllCopies,
    DisallowCopy,
    ReleaseOnCopy,
    RetainOnCopy,
)
from jobledger.ledger.errors import JobsRefusedError, NotAllowedError, NotFoundError

OPERATIONS: dict[str, type[CopyOperation]] = {
    "DELETE": DeleteFromCopy,
    "RETAIN": RetainOnCopy,
    "DO_NOT_RETAIN": ReleaseOnCopy,
    "DISALLOW_COPY": DisallowCopy,
    "DISALLOW_COPY_ALL": DisallowAllCopies,
    "ALLOW_COPY": AllowCopy,
}
# The original asks for no reason, and the ledger wants one where something is let go.
REASON = "asked for by a job operation"

int32 = integer(-(2**31), 2**31 - 1)
listed = list_of(int32, MOST_JOBS)


@reads(
    {
        "anyOf": [
            {**listed.schema, "minItems": 1},
            {
                **STRING,
                "pattern": r"^\s*-?[0-9]{1,20}\s*(,\s*-?[0-9]{1,20}\s*)*$",
                "description": "Ids with commas between them.",
            },
        ]
    }
)
def job_ids(value: Any) -> list[int]:
    """A list of ids, or one string of them with commas in between."""
    if isinstance(value, str) and not (isinstance(value, XmlText) and not value.strip()):
        if value.count(",") >= MOST_JOBS:
            raise ValueError(f"has more than {MOST_JOBS} elements")
        value = [it.strip() for it in value.split(",")]
    read: list[int] = listed(value)
    if not read:
        raise ValueError("names no job")
    return read


@reads({"type": "integer", "maximum": int(LATEST.timestamp()) - 1, "description": "Unix seconds."})
def unix_time(value: Any) -> datetime:
    """An instant as unix seconds."""
    seconds: int = integer(-(2**63), 2**63 - 1)(value)
    if seconds >= int(LATEST.timestamp()):
        raise ValueError(f"lies beyond the year {LATEST.year - 1}")
    # Whatever has passed is refused by who knows what time it is.
    return datetime.fromtimestamp(max(seconds, 0), UTC)


MEMBERS = Members(
    {
        "storagePolicyId": int32,
        "copyId": int32,
        "commcellId": int32,
        "opType": one_of(*OPERATIONS),
        "jobIds": job_ids,
        "retainUntilTime": unix_time,
        "loadDependentJobs": boolean,
        "loadArchiverJobs": boolean,
    },
    needed=("storagePolicyId", "copyId", "commcellId", "opType", "jobIds"),
)

operation_routes = web.RouteTableDef()


@operation_routes.post(PREFIX + "/V4/Plan/BackupDestination/JobOperations")
@operation(OPERATED, body=MEMBERS, may=(NotAllowedError, NotFoundError, JobsRefusedError))
async def operate(request: web.Request) -> web.Response:
    """Do it to all of the jobs, or to none."""
    read_parameters(request)
    given, body = await read_body_members(request)
    outcome = await request.app[LEDGER].execute(asked_operation(request, given, body))
    documents = await JobDocuments.of(request, given["copyId"])
    if given["opType"] == "DELETE":
        documents.show_undeleted(outcome.result["changed"])
    related = await _related(request, given, outcome)
    others = dict.fromkeys(it for ids in related.values() for it in ids if it not in set(given["jobIds"]))
    shown = {
        "dependentJobsExist": bool(related["dependents"]),
        "archiverJobsExist": bool(related["archivers"]),
        "jobInfo": await documents.of_ids([*given["jobIds"], *others]),
        "error": {"errorMessage": "", "errorCode": 0},
    }
    return answer(request, shown, headers=told_of(outcome))


def asked_operation(request: web.Request, given: Mapping[str, Any], body: bytes) -> CopyOperation:
    """The command of a request. Raises InvalidCommandError, NotFoundError."""
    kind = OPERATIONS[given["opType"]]
    further: dict[str, Any] = {}
    if kind is RetainOnCopy:
        further = {"until": given.get("retainUntilTime")}
    elif kind in (DeleteFromCopy, ReleaseOnCopy):
        further = {"reason": REASON}
    return kind(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        copy_id=given["copyId"],
        storage_policy_id=given["storagePolicyId"],
        commcell_id=given["commcellId"],
        job_ids=given["jobIds"],
        **further,
    )


async def _related(request: web.Request, given: Mapping[str, Any], outcome: Outcome) -> dict[str, list[int]]:
    """The dependents and archivers that were asked for: those on the copy, or deleted from it by this very request."""
    caller, jobs = request[CALLER], request.app[COPY_JOBS]
    related: dict[str, list[int]] = {}
    asked = (caller.org, given["copyId"], outcome.result["jobs"], caller.domains)
    changed = set(outcome.result["changed"]) if given["opType"] == "DELETE" else set()
    for name, question, is_wanted in (
        ("dependents", jobs.dependents, given.get("loadDependentJobs", False)),
        ("archivers", jobs.archivers, given.get("loadArchiverJobs", False)),
    ):
        found = await question(*asked) if is_wanted else {}
        related[name] = [job_id for job_id, is_deleted in found.items() if not is_deleted or job_id in changed]
    return related
