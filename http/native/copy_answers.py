"""What the native API answers about copies, as schemas."""

from __future__ import annotations

from jobledger.http.native.answers import NEXT, RECORDED
from jobledger.http.schema import BOOLEAN, INTEGER, STRING, TIME, Named, array_of, object_of

COPY = Named(
    "Copy",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "storage_policy_id": INTEGER,
            "storage_policy_name": STRING,
            "commcell_id": INTEGER,
            "copy_type": INTEGER,
            "precedence": INTEGER,
            "is_default": BOOLEAN,
            "is_snap": BOOLEAN,
            "is_active": BOOLEAN,
            "version": INTEGER,
            "registered_at": TIME,
            "updated_at": TIME,
        }
    ),
)
COPY_PAGE = Named("CopyPage", object_of({"copies": array_of(COPY), "next": NEXT}))
CHANGED_COPY = Named("ChangedCopy", object_of({"id": INTEGER, "version": INTEGER, **RECORDED}))
CHANGED_ON_COPY = Named(
    "ChangedOnCopy",
    object_of({"copy_id": INTEGER, "jobs": array_of(INTEGER), "changed": array_of(INTEGER), **RECORDED}),
)
