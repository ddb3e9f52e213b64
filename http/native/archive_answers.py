"""What the native API answers about archives, as schemas."""

from __future__ import annotations

from jobledger.http.native.answers import A_STATE, HASH, JOB, NEXT, RECORDED, STRINGS
from jobledger.http.schema import (
    BOOLEAN,
    INTEGER,
    OBJECT,
    STRING,
    TIME,
    Named,
    Schema,
    array_of,
    nullable,
    object_of,
)

COUNT: Schema = {**INTEGER, "minimum": 0}
BY_REASON: Schema = {**OBJECT, "additionalProperties": COUNT, "description": "How many, by why."}
ARCHIVE = Named(
    "Archive",
    object_of(
        {
            "id": INTEGER,
            "state": {**STRING, "enum": ["UNDER WAY", "VERIFIED", "COMPLETED", "FAILED", "DELETED"]},
            "version": INTEGER,
            "job_state": nullable(A_STATE),
            "job_reason": nullable(STRING),
            "ended_before": TIME,
            "type": nullable(STRING),
            "domains": nullable(STRINGS),
            "purge": BOOLEAN,
            "reason": nullable(STRING),
            "requested_by": STRING,
            "requested_at": TIME,
            "selected": COUNT,
            "skipped": BY_REASON,
            "counts": nullable({**OBJECT, "additionalProperties": COUNT}),
            "files": array_of(object_of({"name": STRING, "size_bytes": COUNT, "sha256": HASH})),
            "manifest_sha256": nullable(HASH),
            "verified_at": nullable(TIME),
            "copied_at": nullable(TIME),
            "completed_at": nullable(TIME),
            "purge_job_id": nullable(INTEGER),
            "purged": COUNT,
            "archived": COUNT,
            "not_purged": BY_REASON,
            "deleted_at": nullable(TIME),
            "delete_reason": nullable(STRING),
        }
    ),
)
ARCHIVE_PAGE = Named("ArchivePage", object_of({"archives": array_of(ARCHIVE), "next": NEXT}))
PLACES: Schema = {
    **array_of(array_of(COUNT, least=2, most=2)),
    "description": "Offset and length of each gzip member of the file that holds events of the job.",
}
ARCHIVED_JOB = Named(
    "ArchivedJob",
    object_of(
        {
            "id": INTEGER,
            "type": STRING,
            "domain": STRING,
            "state": A_STATE,
            "registered_at": TIME,
            "scheduled_at": nullable(TIME),
            "started_at": nullable(TIME),
            "ended_at": TIME,
            "archived_version": INTEGER,
            "gone": nullable(STRING),
            "purged": BOOLEAN,
            "places": PLACES,
        }
    ),
)
ARCHIVED_JOB_PAGE = Named("ArchivedJobPage", object_of({"jobs": array_of(ARCHIVED_JOB), "next": NEXT}))
REQUESTED_ARCHIVE = Named(
    "RequestedArchive",
    object_of({"id": INTEGER, "version": INTEGER, "archive_id": INTEGER, **RECORDED}, without=["archive_id"]),
)
DELETED_ARCHIVE = Named(
    "DeletedArchive", object_of({"id": INTEGER, "version": INTEGER, "deleted": BOOLEAN, **RECORDED})
)
PURGED_JOB = Named(
    "PurgedJob",
    object_of(
        {
            "id": INTEGER,
            "type": STRING,
            "domain": STRING,
            "state": A_STATE,
            "version": INTEGER,
            "purged": {**BOOLEAN, "const": True},
            "archive": object_of(
                {"id": INTEGER, "version": INTEGER, "places": array_of(array_of(INTEGER)), "deleted": BOOLEAN}
            ),
            "imported": BOOLEAN,
            "preceding_job_id": INTEGER,
            "required_job_ids": array_of(INTEGER),
            "bytes": INTEGER,
            **dict.fromkeys(("registered_at", "ended_at", "final_at"), TIME),
            **dict.fromkeys(("scheduled_at", "started_at"), TIME),
        },
        without=["imported", "preceding_job_id", "required_job_ids", "bytes", "scheduled_at", "started_at"],
    ),
)
JOB_OR_RESIDUE: Schema = {"anyOf": [JOB, PURGED_JOB]}
