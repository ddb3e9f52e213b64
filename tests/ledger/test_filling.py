"""The proof of many leaves at once: what fills the places between them, and only that, gives the tree's root."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.evidence.filling import Refolding, filling, node_root
from jobledger.ledger.evidence.tree import Edge, Node, tile_width

MOST = 700
HEADERS = [b"header %d" % it for it in range(MOST)]
LEAVES = [sha256(b"\0" + it).digest() for it in HEADERS]


def tiles_of(size: int) -> tuple[dict[tuple[int, int], bytes], bytes]:
    """The tiles of a tree of so many leaves, and its root."""
    edge = Edge()
    tiles = {(it.level, it.number): it.hashes for it in edge.add(b"".join(LEAVES[:size]))}
    return {**edge.partial, **tiles}, edge.root


TREES: dict[int, tuple[dict[tuple[int, int], bytes], bytes]] = {}


def between(positions: list[int], size: int) -> Iterator[Node]:
    """The nodes that fill what lies between these."""
    at = 0
    for position in [*positions, size]:
        yield from filling(at, position)
        at = position + 1


@given(st.integers(1, MOST).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=60))))
def test_leaves_and_what_lies_between_give_the_root(made: tuple[int, set[int]]) -> None:
    size, positions = made[0], sorted(made[1])
    tiles, root = TREES.setdefault(size, tiles_of(size))
    nodes = list(between(positions, size))
    hashes = [node_root(it, tiles) for it in nodes]
    refolding = Refolding(size, hashes)
    begin = 0
    for end, position in enumerate(positions, 1):
        # Some of those that stand one behind the other go together.
        if end == len(positions) or positions[end] != position + 1 or position % 5 == 0:
            refolding.add(positions[begin], [HEADERS[it] for it in positions[begin:end]])
            begin = end

    assert refolding.root() == root
    assert sum(1 << it.height for it in nodes) + len(positions) == size
    assert all(tile_width(0, (it.number << it.height) >> 8, size) for it in nodes)


@given(st.integers(2, MOST), st.data())
def test_another_header_or_another_number_of_hashes_does_not(size: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, size - 1))
    tiles, root = TREES.setdefault(size, tiles_of(size))
    hashes = [node_root(it, tiles) for it in between([position], size)]

    other = Refolding(size, hashes)
    other.add(position, [b"another"])
    assert other.root() != root
    for wrong in (hashes[:-1], [*hashes, hashes[0]]):
        with pytest.raises(ValueError, match="hashes than places"):
            refold(size, wrong, position)
    with pytest.raises(ValueError, match="no place"):
        Refolding(size, hashes).add(size, [b""])


def refold(size: int, hashes: list[bytes], position: int) -> bytes:
    """The root that these give."""
    refolding = Refolding(size, hashes)
    refolding.add(position, [HEADERS[position]])
    return refolding.root()
