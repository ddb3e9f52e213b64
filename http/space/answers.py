"""What the space dialect answers with, as schemas."""

from __future__ import annotations

from jobledger.http.schema import BOOLEAN, INTEGER, STRING, Named, Schema, array_of, object_of

HREF: Schema = {**STRING, "format": "uri-reference"}
LINK = object_of({"@href": HREF})
NUMBER: Schema = {"type": "number"}
# As RFC 1123 has it.
TIME: Schema = {**STRING, "pattern": "^[A-Z][a-z]{2}, .* GMT$"}
OPTIONAL = (
    *("id", "name", "percent-complete", "mo-state", "job-state", "job-status", "job-type", "summary"),
    *("scheduled-start-time", "start-time", "end-time", "owner", "schedule-string", "repeat-cron", "retry-supported"),
    *("domain-id", "domain-name"),
)
JOB = Named(
    "SpaceJob",
    object_of(
        {
            "@href": HREF,
            "@uri": HREF,
            "id": INTEGER,
            "name": STRING,
            "percent-complete": NUMBER,
            "mo-state": STRING,
            "job-state": {**STRING, "enum": ["SCHEDULED", "INPROGRESS", "DONE"]},
            "job-status": {**STRING, "enum": ["UNDETERMINED", "SUCCESS", "FAILURE"]},
            "job-type": STRING,
            "summary": STRING,
            "scheduled-start-time": TIME,
            "start-time": TIME,
            "end-time": TIME,
            "owner": STRING,
            "schedule-string": STRING,
            "repeat-cron": STRING,
            "retry-supported": BOOLEAN,
            "domain-id": INTEGER,
            "domain-name": STRING,
        },
        without=OPTIONAL,
    ),
)
JOB_DOCUMENT = Named("SpaceJobDocument", object_of({"job": JOB}))
JOBS_DOCUMENT = Named(
    "SpaceJobs", object_of({"jobs": object_of({"@total": INTEGER, "@uri": HREF, "job": array_of(JOB)})})
)
JOB_TYPES = Named(
    "SpaceJobTypes",
    object_of({"job-types": object_of({"@total": INTEGER, "@uri": HREF, "job-type": array_of(STRING)})}),
)
ROOT = Named(
    "SpaceJobManagement",
    object_of(
        {
            "job-management": object_of(
                {
                    "collection": object_of({"@href": HREF, "@rel": STRING}),
                    "archive-purge-jobs": LINK,
                    "job-types": LINK,
                    "cancel-jobs": LINK,
                }
            )
        }
    ),
)
RECURRENCE = object_of(
    {"startTime": TIME, "endTime": STRING, "repeatInterval": INTEGER, "unit": STRING},
    without=["startTime", "repeatInterval", "unit"],
)
PROGRESS = Named(
    "SpaceProgressUpdate",
    object_of(
        {
            "progress-update": object_of(
                {
                    "@type": STRING,
                    "job": LINK,
                    "taskId": INTEGER,
                    "jobName": STRING,
                    "state": STRING,
                    "status": STRING,
                    "percentage": NUMBER,
                    "data": STRING,
                    "recurrence": RECURRENCE,
                },
                without=["recurrence"],
            )
        }
    ),
)
TASK = Named("SpaceTask", object_of({"task": object_of({"@href": HREF, "id": INTEGER})}))
QUEUE = Named("SpaceQueue", object_of({"queue": object_of({"name": STRING})}))
