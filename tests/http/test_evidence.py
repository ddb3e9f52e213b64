"""Evidence over HTTP: what is served is enough to check everything, and is served in the forms of public tools."""

from __future__ import annotations

import base64

import pytest

from jobledger.ledger.domain.evidence import RecordFork
from jobledger.ledger.errors import HistoryDiffersError
from jobledger.ledger.evidence import tree
from jobledger.ledger.evidence.checkpoint import read_checkpoint
from jobledger.ledger.evidence.note import read_verifier_key
from jobledger.ledger.store.codec import leaf_of
from jobledger.ledger.store.ledger import ledger_itself
from tests.http.serving import Api, Server, add_principal, served
from tests.signing import KEY, sign
from tests.world import ORG

OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
JOB = {"type": "copy", "name": "nightly"}


@pytest.fixture
async def signed(server: Server, api: Api) -> Api:
    """A job with two events, among others: more than a full tile, all signed."""
    await api.register_running()
    await api.post("jobs", [JOB] * 300)
    await sign(server.ledger)
    return api


def decoded(hashes: list[str]) -> list[bytes]:
    return [base64.b64decode(it) for it in hashes]


def entries_of(bundle: bytes) -> list[bytes]:
    found = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        found.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return found


async def test_a_client_that_knows_nothing_else_rebuilds_the_tree(signed: Api) -> None:
    """By checkpoint, key, entries and tiles: as C2SP has them."""
    note, key = await signed.get("checkpoint"), await signed.get("key")
    assert [it.headers["Content-Type"] for it in (note, key)] == [TEXT, TEXT]
    assert note.headers["Cache-Control"] == "no-store"
    checkpoint = read_checkpoint(note.body)
    verifier = read_verifier_key(key.body.decode())
    checkpoint.signed.must_be_signed_by(verifier)
    assert verifier == KEY.named(checkpoint.origin)

    rest = checkpoint.size - 256
    full, partial = await signed.get("tile/entries/000"), await signed.get(f"tile/entries/001.p/{rest}")
    leaves = [leaf_of(it) for it in entries_of(full.body) + entries_of(partial.body)]
    edge = tree.Edge()
    [only] = edge.add(b"".join(leaves))

    assert (edge.size, edge.root) == (checkpoint.size, checkpoint.root)
    tile = await signed.get("tile/0/000")
    assert tile.body == only.hashes
    assert (await signed.get(f"tile/0/001.p/{rest}")).body == edge.partial[0, 1]
    assert (await signed.get("tile/1/000.p/1")).body == only.root
    for reply, cache in ((full, "immutable"), (tile, "immutable"), (partial, "no-store")):
        assert reply.headers["Content-Type"] == OCTETS
        assert reply.headers["Cache-Control"].endswith(cache)


async def test_what_is_no_tile_of_the_tree_is_not_found(signed: Api) -> None:
    for path in (
        "0/001",
        "0/002",
        "1/000",
        "1/000.p/2",
        "2/000.p/1",
        "63/000",
        "64/000",
        "0/x001/000",
        "0/x000/000",
        "entries/009",
    ):
        assert (await signed.get(f"tile/{path}")).status == 404, path
    assert (await signed.get("tile/0/000.p/7")).body == (await signed.get("tile/0/000")).body[: 7 * 32]


async def test_an_event_is_proved(signed: Api) -> None:
    for position in (0, 255, 256):
        shown = (await signed.get(f"proof/{position}")).document
        checkpoint = read_checkpoint(shown["checkpoint"].encode())
        leaf = leaf_of(shown["header"].encode())

        assert decoded([shown["leaf"]]) == [leaf]
        assert checkpoint.root == tree.root_by_inclusion(leaf, position, shown["size"], decoded(shown["proof"]))

        text = await signed.get(f"proof/{position}", headers={"Accept": "text/plain"})
        head, _, note = text.body.decode().partition("\n\n")
        assert head.split("\n") == ["c2sp.org/tlog-proof@v1", f"index {position}", *shown["proof"]]
        assert note == shown["checkpoint"]


async def test_a_whole_job_is_proved_as_far_as_it_is_signed(server: Server, signed: Api) -> None:
    await signed.post("jobs/1/progress", {"progress": 0.5})

    shown = (await signed.get("jobs/1/proof")).document

    root = read_checkpoint(shown["checkpoint"].encode()).root
    assert [
        name
        for it in shown["events"]
        for name in ("job.registered", "job.started", "job.progressed")
        if name in it["header"]
    ] == ["job.registered", "job.started", "job.progressed"]
    for it in shown["events"][:2]:
        leaf = leaf_of(it["header"].encode())
        assert root == tree.root_by_inclusion(leaf, it["position"], shown["size"], decoded(it["proof"]))
    assert shown["events"][2]["proof"] is None
    first = (await signed.get("jobs/1/proof", {"limit": "1"})).document
    assert first["next_after"] == first["events"][0]["position"]


async def test_a_job_that_is_gone_is_proved_all_the_same(server: Server, signed: Api) -> None:
    """Its headers stay, and what they say of when it was what."""
    before = (await signed.get("jobs/1/proof")).document
    await signed.post("jobs/1/succeed")
    officer = server.api(await add_principal(server.ledger, ["compliance"], name="officer"))
    removed = await officer.post("jobs/1/erase", {"scope": "all", "reason": "asked for"})

    shown = (await signed.get("jobs/1/proof")).document

    assert removed.status == 200, removed.body
    assert (await signed.get("jobs/1")).status == 410
    count = len(before["events"])
    assert shown["events"][:count] == before["events"]
    assert ["job.succeeded" in shown["events"][-2]["header"], "job.erased" in shown["events"][-1]["header"]] == [
        True,
        True,
    ]


async def test_one_checkpoint_is_proved_to_go_on_from_another(server: Server, signed: Api) -> None:
    before = read_checkpoint((await signed.get("checkpoint")).body)
    await signed.post("jobs", [JOB] * 9)
    after = await sign(server.ledger)

    shown = (await signed.get("consistency", {"from": str(before.size)})).document

    assert (shown["from"], shown["to"]) == (before.size, after.size)
    assert tree.is_consistent(before.size, before.root, after.size, after.root, decoded(shown["proof"]))
    for sizes in ({"from": "9", "to": "8"}, {"to": str(after.size + 1)}, {"from": str(after.size + 1)}):
        assert (await signed.get("consistency", sizes)).status == 400


async def test_checkpoints_of_a_history_that_was_left_stay_in_reach(server: Server, signed: Api) -> None:
    """By its number, with what was said of them; without one they are of the history that goes on."""
    first = read_checkpoint((await signed.get("checkpoint", headers={"Accept": "text/plain"})).body)
    fork = RecordFork(caller=ledger_itself(ORG), fork=2, reason="tried", note=first.note.decode())
    await server.ledger.execute(fork)
    second = await sign(server.ledger)
    size = str(first.size)

    for query, checkpoint in (({}, second), ({"fork": "1"}, first), ({"fork": "2"}, second)):
        found = await signed.get(f"checkpoint/{size}", query)
        assert (found.document["size"], found.document["checkpoint"]) == (checkpoint.size, checkpoint.note.decode())
    assert (await signed.get(f"checkpoint/{second.size}", {"fork": "1"})).status == 404
    assert (await signed.get("checkpoint/1", {"fork": "3"})).document["detail"] == (
        "The history 3 has no checkpoint of 1 events."
    )
    for wrong in ("0", "x", "", str(2**31)):
        assert (await signed.get(f"checkpoint/{size}", {"fork": wrong})).status == 400


async def test_before_it_is_signed_it_is_said_to_come(server: Server, api: Api) -> None:
    for path in ("checkpoint", "key", "proof/0", "tile/0/000", "tile/entries/000", "consistency"):
        reply = await api.get(path)
        assert (reply.status, reply.document["code"], reply.headers["Retry-After"]) == (503, "not_signed_yet", "1")
    assert (await api.get("proof/1000")).status == 404


async def test_a_ledger_that_is_not_the_one_that_was_shown_is_read_and_not_written(server: Server, api: Api) -> None:
    server.ledger.refuse_writing(ORG, HistoryDiffersError("It differs.", retry_after_s=30))

    refused = await api.post("jobs", JOB)

    assert (refused.status, refused.document["code"], refused.headers["Retry-After"]) == (503, "history_differs", "30")
    assert (await api.get("jobs")).status == 200
    server.ledger.refuse_writing(ORG, None)
    assert (await api.post("jobs", JOB)).status == 201


async def test_readiness_says_what_the_witness_does_not_stand_by(server: Server) -> None:
    why: str | None = None
    async with served(server.ledger, trouble={"witness": lambda: why}) as other:
        assert (await other.api().send("GET", f"{other.url}/readyz")).document["checks"]["witness"] == "ok"
    why = "the ledger of 1 org is not the one that was shown"
    async with served(server.ledger, trouble={"witness": lambda: why}) as other:
        reply = await other.api().send("GET", f"{other.url}/readyz")
        assert (reply.status, reply.document["checks"]["witness"], reply.document["failing"]) == (503, why, ["witness"])
