"""What the copies dialect answers with, as schemas."""

from __future__ import annotations

from collections.abc import Sequence

from jobledger.http.copies.job_info import JOB_TYPES, RETAINED_BY, STATUSES, UNKNOWN_VERIFICATION, VERIFICATIONS
from jobledger.http.schema import BOOLEAN, INTEGER, STRING, Named, Schema, array_of, object_of

NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {**INTEGER, "description": "Unix seconds; 0: none."}
ENTITY = Named("CopiesEntity", object_of({"id": INTEGER, "name": STRING}))
NAMES, NUMBERS = zip(*STATUSES.values(), strict=True)
FLAG: Schema = {**INTEGER, "enum": [0, 1]}


def words(given: Sequence[str]) -> Schema:
    """One of these."""
    return {**STRING, "enum": list(dict.fromkeys(given))}


ERROR = Named("CopiesError", object_of({"errorMessage": STRING, "errorCode": INTEGER}))
JOB_INFO = Named(
    "CopiesJobInfo",
    object_of(
        {
            "jobId": INTEGER,
            "status": words(NAMES),
            "server": ENTITY,
            "agentType": ENTITY,
            "subClient": ENTITY,
            "jobType": words(["", *JOB_TYPES]),
            "startTime": SECONDS,
            "sizeOfApplication": INTEGER,
            "retainUntil": {**INTEGER, "description": "Unix seconds; -1: until it is released, 0: not retained."},
            "instance": ENTITY,
            "backupSet": ENTITY,
            "region": ENTITY,
            "retentionReason": STRING,
            "username": STRING,
            "description": STRING,
            "savingPercentage": NUMBER,
            "dataWritten": INTEGER,
            "avgThroughput": {**NUMBER, "description": "GB an hour."},
            "endTime": SECONDS,
            "duration": {**INTEGER, "description": "Seconds."},
            "dataVerificationStatus": INTEGER,
            "hardwareEncrypted": BOOLEAN,
            "lastVerifiedOn": {**STRING, "description": "RFC 3339, or empty."},
            "copiedTime": SECONDS,
            "encrypted": BOOLEAN,
            "parentJobId": INTEGER,
            "retainedBy": {**INTEGER, "enum": list(range(len(RETAINED_BY)))},
            "deduplicated": BOOLEAN,
            "requiredByJobs": {**STRING, "description": "Ids with commas between them."},
            "strRetainedBy": words(RETAINED_BY),
            "strDataVerificationStatus": words([*VERIFICATIONS, UNKNOWN_VERIFICATION]),
            "isAged": BOOLEAN,
            "statusId": {**INTEGER, "enum": sorted(set(NUMBERS))},
            "isSoftAged": BOOLEAN,
            "jobAttributesEx": INTEGER,
        }
    ),
)
JOBS = Named("CopiesJobs", object_of({"jobs": array_of(JOB_INFO)}))
OPERATED = Named(
    "CopiesOperated",
    object_of(
        {
            "dependentJobsExist": BOOLEAN,
            "archiverJobsExist": BOOLEAN,
            "jobInfo": array_of(JOB_INFO),
            "error": ERROR,
        }
    ),
)

POLICIES = Named(
    "CopiesStoragePolicies",
    object_of({"policies": array_of(object_of({"storagePolicyName": STRING, "storagePolicyId": INTEGER}))}),
)
POLICY = Named(
    "CopiesStoragePolicy",
    object_of(
        {
            "copy": array_of(
                object_of(
                    {
                        "copyType": INTEGER,
                        "active": FLAG,
                        "StoragePolicyCopy": object_of({"copyId": INTEGER, "copyName": STRING}),
                        "copyPrecedence": INTEGER,
                        "isSnapCopy": FLAG,
                        "isDefault": FLAG,
                    }
                )
            )
        }
    ),
)
EMPTY: Schema = object_of({}, further=False)
COPY_PROPERTIES = Named(
    "CopiesCopyProperties",
    object_of({"copy": object_of({"active": FLAG, "copyFlags": EMPTY, "mediaProperties": EMPTY})}),
)

NOTHING = Named("CopiesNothing", EMPTY)
LOGGED_ERROR = object_of({"errLogMessage": STRING, "errorCode": INTEGER})
LOGIN_ANSWER = Named(
    "CopiesLogin",
    {
        "anyOf": [
            object_of({"userName": STRING, "token": STRING}),
            {**object_of({"errList": array_of(LOGGED_ERROR)}), "description": "It was in vain."},
        ]
    },
)
NO_RENEWAL_ANSWER = Named("CopiesNoRenewal", object_of({"error": LOGGED_ERROR}))
USER = Named("CopiesUser", object_of({"user": object_of({"userName": STRING})}))
