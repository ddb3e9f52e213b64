"""Files over HTTP: whole, one range of them, or refused as the dialect refuses. Source: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import Server, add_principal
from tests.ledger.archived import archived
from tests.ledger.exported import exporter
from tests.signing import sign


async def test_ranges_conditions_and_media_types_of_files(server: Server, ledger: Ledger, tmp_path: Path) -> None:
    """One way for exports and for archives; what is no range of one of the file's own bytes is passed over."""
    worker = server.api(await add_principal(ledger, ["operator"], name="worker"))
    await worker.post(f"jobs/{await worker.register_running()}/succeed")
    archive = await archived(ledger, tmp_path)
    api = server.api(await add_principal(ledger, ["auditor"], name="ann"))
    export_id = (await api.post("exports", {})).document["id"]
    async with exporter(ledger, tmp_path), asyncio.timeout(30):
        while (await api.get(f"exports/{export_id}")).document["file"] is None:
            await sign(ledger)
            await asyncio.sleep(0.02)
    for path, media_type in (
        (f"exports/{export_id}/file", "application/zip"),
        (f"archives/{archive.archive_id}/file", "application/gzip"),
    ):
        whole = await api.get(path)
        size, tag = len(whole.body), whole.headers["ETag"]
        assert (whole.status, whole.headers["Content-Type"]) == (200, "application/octet-stream")
        for asked, begin, end in (
            ("bytes=0-3", 0, 4),
            ("Bytes=2-", 2, size),
            ("bytes=-5", size - 5, size),
            (f"bytes=1-{size + 9}", 1, size),
        ):
            part = await api.get(path, headers={"Range": asked})
            assert (part.status, part.body) == (206, whole.body[begin:end]), asked
            assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
        for asked in ("lines=0-3", "bytes=0-3,7-9", "bytes=9-3", "bytes=x", "bytes"):
            part = await api.get(path, headers={"Range": asked})
            assert (part.status, part.body) == (200, whole.body), asked
        for asked in (f"bytes={size}-", "bytes=-0"):
            refused = await api.get(path, headers={"Range": asked})
            assert (refused.status, refused.headers["Content-Range"]) == (416, f"bytes */{size}")
            assert refused.document["status"] == 416
        assert (await api.get(path, headers={"Range": "bytes=0-3", "If-Range": tag})).status == 206
        assert (await api.get(path, headers={"Range": "bytes=0-3", "If-Range": '"x"'})).status == 200
        assert (await api.get(path, headers={"If-None-Match": f'"x", W/{tag}'})).status == 304
        refused = await api.get(path, headers={"If-Match": '"x"'})
        assert (refused.status, refused.document["status"]) == (412, 412)
        named = await api.get(path, headers={"Accept": media_type})
        assert (named.status, named.headers["Content-Type"], named.body) == (200, media_type, whole.body)
        assert (await api.get(path, headers={"Accept": "image/png"})).status == 406
