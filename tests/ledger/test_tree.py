"""The tree, its tiles and proofs, against the definitions of RFC 6962 written down as they stand there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.evidence import tree
from jobledger.ledger.store.codec import leaf_of

SIZES = st.one_of(st.integers(0, 40), st.integers(250, 260), st.integers(0, 3000))
LEAVES = [leaf_of(str(it).encode()) for it in range(70_000)]


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], is_whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if is_whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], is_whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def tiles_of(size: int) -> dict[tuple[int, int], bytes]:
    """Every tile of the tree of so many leaves."""
    edge = tree.Edge()
    tiles = {(it.level, it.number): it.hashes for it in edge.add(b"".join(LEAVES[:size]))}
    return {**tiles, **edge.partial}


class Counted(dict[tuple[int, int], bytes]):
    """Tiles of which it is noted which were read."""

    def __init__(self, tiles: dict[tuple[int, int], bytes], allowed: list[tree.TileAt]) -> None:
        super().__init__({(it.level, it.number): tiles[it.level, it.number] for it in allowed})
        for it in allowed:
            assert len(self[it.level, it.number]) == it.width * tree.HASH_BYTES


@given(SIZES, st.lists(st.integers(0, 600), max_size=8))
def test_a_tree_that_grows_has_the_tiles_and_the_root_of_one_made_at_once(size: int, steps: list[int]) -> None:
    edge, at = tree.Edge(), 0
    tiles: dict[tuple[int, int], tree.FullTile] = {}
    for step in (*steps, size):
        end = min(size, at + step)
        # Begun anew in between, as another server would.
        edge = tree.Edge(edge.size, edge.partial)
        tiles |= {(it.level, it.number): it for it in edge.add(b"".join(LEAVES[at:end]))}
        at = end

    assert mth(LEAVES[:size]) == edge.root
    assert size == edge.size
    assert tiles_of(size) == {**{key: it.hashes for key, it in tiles.items()}, **edge.partial}
    for (level, index), tile in tiles.items():
        first = index << tree.TILE_HEIGHT * (level + 1)
        assert mth(LEAVES[first : first + (1 << tree.TILE_HEIGHT * (level + 1))]) == tile.root


@given(SIZES.filter(bool), st.data())
def test_a_leaf_is_proved_by_the_path_of_the_rfc(size: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, size - 1))
    tiles = Counted(tiles_of(size), tree.tiles_for_inclusion([position], size))

    proof = tree.inclusion_proof(position, size, tiles)

    assert path(position, LEAVES[:size]) == proof
    assert mth(LEAVES[:size]) == tree.root_by_inclusion(LEAVES[position], position, size, proof)
    assert mth(LEAVES[:size]) == tree.root(size, Counted(tiles_of(size), tree.tiles_for_root(size)))


@given(SIZES, st.data())
def test_a_tree_is_proved_to_be_the_beginning_of_another_by_the_subproof_of_the_rfc(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(0, new))
    tiles = Counted(tiles_of(new), tree.tiles_for_consistency(old, new))

    proof = tree.consistency_proof(old, new, tiles)

    assert proof == ([] if old == 0 else subproof(old, LEAVES[:new]))
    assert tree.is_consistent(old, mth(LEAVES[:old]), new, mth(LEAVES[:new]), proof)


@given(st.integers(1, 600), st.data())
def test_what_differs_in_anything_is_not_proved(size: int, data: st.DataObject) -> None:
    """Another leaf, position, root or hash, one more or one less."""
    position, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    tiles, root = tiles_of(size), mth(LEAVES[:size])
    inclusion, consistency = tree.inclusion_proof(position, size, tiles), tree.consistency_proof(old, size, tiles)
    wrong = bytes([1]) * 32

    other = data.draw(st.integers(0, size - 1).filter(lambda it: it != position)) if size > 1 else size
    assert tree.root_by_inclusion(LEAVES[position], other, size, inclusion) != root
    assert tree.root_by_inclusion(wrong, position, size, inclusion) != root
    assert tree.root_by_inclusion(LEAVES[position], position, size, [*inclusion, wrong]) is None
    if inclusion:
        at = data.draw(st.integers(0, len(inclusion) - 1))
        changed = [*inclusion[:at], wrong, *inclusion[at + 1 :]]
        assert tree.root_by_inclusion(LEAVES[position], position, size, changed) != root
        assert tree.root_by_inclusion(LEAVES[position], position, size, inclusion[1:]) is None
    assert not tree.is_consistent(old, wrong, size, root, consistency)
    assert not tree.is_consistent(old, mth(LEAVES[:old]), size, wrong, consistency)
    assert not tree.is_consistent(old, mth(LEAVES[:old]), size, root, [*consistency, wrong])
    if consistency:
        at = data.draw(st.integers(0, len(consistency) - 1))
        changed = [*consistency[:at], wrong, *consistency[at + 1 :]]
        assert not tree.is_consistent(old, mth(LEAVES[:old]), size, root, changed)
        assert not tree.is_consistent(old, mth(LEAVES[:old]), size, root, consistency[1:])


def test_what_is_in_no_tree_is_not_proved() -> None:
    with pytest.raises(ValueError, match="no leaf 3 among 3"):
        tree.inclusion_proof(3, 3, tiles_of(3))
    with pytest.raises(ValueError, match="not the beginning"):
        tree.consistency_proof(4, 3, tiles_of(3))
    assert tree.root_by_inclusion(LEAVES[0], 3, 3, []) is None
    assert not tree.is_consistent(4, b"", 3, b"", [])


def test_a_proof_among_a_million_reads_a_handful_of_tiles() -> None:
    size = 1_000_000
    random.seed(7)
    for _ in range(200):
        position, old = random.randrange(size), random.randrange(size)
        assert len(tree.tiles_for_inclusion([position], size)) <= 6
        assert len(tree.tiles_for_consistency(old, size)) <= 6


def test_three_levels_of_tiles_are_right_at_their_seams() -> None:
    for size in (65_535, 65_536, 65_537, 66_049):
        tiles = tiles_of(size)
        root = tree.root(size, Counted(tiles, tree.tiles_for_root(size)))
        for position in (0, 255, 256, 65_279, 65_280, 65_534, size - 1):
            allowed = Counted(tiles, tree.tiles_for_inclusion([position], size))
            proof = tree.inclusion_proof(position, size, allowed)
            assert root == tree.root_by_inclusion(LEAVES[position], position, size, proof)


def test_the_trees_of_the_rfcs_test_vectors() -> None:
    """The eight inputs and roots of the reference implementation. Source: google/certificate-transparency, merkletree tests."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [leaf_of(bytes.fromhex(it)) for it in inputs]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, expected in roots.items():
        edge = tree.Edge()
        list(edge.add(b"".join(leaves[:size])))
        assert expected == edge.root.hex()
