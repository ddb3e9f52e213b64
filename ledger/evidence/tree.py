"""The tree over an org's leaves, in position order, and what it proves. Pure: hashes in, hashes out.

    root of nothing   SHA-256 of nothing                   root of one leaf   the leaf itself, 32 bytes
    node              SHA-256(0x01 ‖ left ‖ right); the left one holds the largest power of two of the leaves that leaves some over
                                                           Source: RFC 9162, section 2.1 (as RFC 6962, section 2.1)
    tile L/N          256 hashes of 32 bytes one after another: of level 0 leaves, of level L the roots of tiles of level L - 1.
                      At the right edge it is partial: it has as many hashes as are there.
                                                           Source: C2SP tlog-tiles

A proof of a tree of a million leaves needs a handful of tiles: ``tiles_for_…`` says which; read, they are given as a mapping of
(level, number) to hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, TypeAlias

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
EMPTY_ROOT = sha256(b"").digest()

# The hashes of tiles by level and number.
Tiles: TypeAlias = Mapping[tuple[int, int], bytes]


class Range(NamedTuple):
    """Leaves from *start* to before *end*: a subtree, as a proof names it."""

    start: int
    end: int


class Node(NamedTuple):
    """The subtree of the 2**height leaves from number * 2**height."""

    height: int
    number: int


class TileAt(NamedTuple):
    """A tile, of so many hashes."""

    level: int
    number: int
    width: int = TILE_WIDTH


class FullTile(NamedTuple):
    """A tile with all of its hashes, and the root of these."""

    level: int
    number: int
    hashes: bytes
    root: bytes


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node, 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def full_root(hashes: bytes) -> bytes:
    """The root of a power of two of hashes."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join(
            [
                sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest()
                for at in range(0, len(hashes), 2 * HASH_BYTES)
            ]
        )
    return hashes


def fold(roots: Sequence[bytes]) -> bytes:
    """The root over complete subtrees that fall in size from left to right."""
    if not roots:
        return EMPTY_ROOT
    result = roots[-1]
    for left in reversed(roots[:-1]):
        result = node_hash(left, result)
    return result


def nodes_of(subtree: Range) -> list[Node]:
    """The complete subtrees that one is made of, the largest first."""
    nodes, start = [], subtree.start
    for height in reversed(range((subtree.end - subtree.start).bit_length())):
        if (subtree.end - subtree.start) >> height & 1:
            nodes.append(Node(height, start >> height))
            start += 1 << height
    return nodes


# Which subtrees a proof is made of.


def inclusion_ranges(position: int, size: int) -> list[Range]:
    """The subtrees whose roots prove a leaf to be in a tree, from the leaf upwards. Raises ValueError where it is not in it."""
    if not 0 <= position < size:
        raise ValueError(f"There is no leaf {position} among {size}.")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if position < middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The subtrees whose roots prove a tree to be the beginning of another. Raises ValueError where it cannot be."""
    if not 0 <= old <= new:
        raise ValueError(f"A tree of {old} leaves is not the beginning of one of {new}.")
    if old in (0, new):
        return []
    ranges, start, end = [], 0, new
    while end != old:
        middle = start + _left_size(end - start)
        if old <= middle:
            ranges.append(Range(middle, end))
            end = middle
        else:
            ranges.append(Range(start, middle))
            start = middle
    # The whole old tree needs no telling.
    return ([] if start == 0 else [Range(start, end)]) + ranges[::-1]


def _left_size(count: int) -> int:
    """The largest power of two below *count*, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


# Tiles.


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes a tile has in a tree of *size* leaves; 0: there is none."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - number * TILE_WIDTH))


def edge_tiles(size: int) -> list[TileAt]:
    """The partial tiles of a tree, one a level at most: with those that are full, they are all."""
    tiles, level = [], 0
    while size >> TILE_HEIGHT * level:
        number = size >> TILE_HEIGHT * (level + 1)
        if width := tile_width(level, number, size):
            tiles.append(TileAt(level, number, width))
        level += 1
    return tiles


def tiles_for(ranges: Iterable[Range], size: int) -> list[TileAt]:
    """The tiles that give the roots of these subtrees of a tree of *size* leaves, each as wide as it is there."""
    places = {_place(node)[:2] for it in ranges for node in nodes_of(it)}
    return [TileAt(level, number, tile_width(level, number, size)) for level, number in sorted(places)]


def root_of(subtree: Range, tiles: Tiles) -> bytes:
    """The root of a subtree. Raises KeyError, IndexError for what the tiles do not hold."""
    roots = []
    for node in nodes_of(subtree):
        level, number, offset, count = _place(node)
        hashes = tiles[level, number][offset * HASH_BYTES : (offset + count) * HASH_BYTES]
        if len(hashes) != count * HASH_BYTES:
            raise IndexError(f"Tile {level}/{number} has no hash {offset + count - 1}.")
        roots.append(full_root(hashes))
    return fold(roots)


def _place(node: Node) -> tuple[int, int, int, int]:
    """Where a node's root comes from: level, number, offset among the tile's hashes, and how many of these."""
    level, above = divmod(node.height, TILE_HEIGHT)
    first = node.number << above
    return level, first // TILE_WIDTH, first % TILE_WIDTH, 1 << above


def tiles_for_root(size: int) -> list[TileAt]:
    """The tiles that give a tree's root."""
    return tiles_for([Range(0, size)], size)


def root(size: int, tiles: Tiles) -> bytes:
    """A tree's root. Raises KeyError, IndexError."""
    return root_of(Range(0, size), tiles)


def tiles_for_inclusion(positions: Iterable[int], size: int) -> list[TileAt]:
    """The tiles that prove leaves to be in a tree. Raises ValueError."""
    return tiles_for({it for position in positions for it in inclusion_ranges(position, size)}, size)


def inclusion_proof(position: int, size: int, tiles: Tiles) -> list[bytes]:
    """The hashes that prove a leaf to be in a tree. Raises ValueError, KeyError, IndexError."""
    return [root_of(it, tiles) for it in inclusion_ranges(position, size)]


def tiles_for_consistency(old: int, new: int) -> list[TileAt]:
    """The tiles that prove a tree to be the beginning of another. Raises ValueError."""
    return tiles_for(consistency_ranges(old, new), new)


def consistency_proof(old: int, new: int, tiles: Tiles) -> list[bytes]:
    """The hashes that prove a tree to be the beginning of another. Raises ValueError, KeyError, IndexError."""
    return [root_of(it, tiles) for it in consistency_ranges(old, new)]


class Edge:
    """The right edge of a growing tree: what of its tiles is partial, which is all that growing needs."""

    def __init__(self, size: int = 0, partial: Tiles | None = None) -> None:
        """*partial* are the hashes of ``edge_tiles(size)``. Raises KeyError, ValueError where they are not."""
        self._size = size
        self._levels: list[bytearray] = []
        for level, number, width in edge_tiles(size):
            hashes = (partial or {})[level, number]
            if len(hashes) != width * HASH_BYTES:
                raise ValueError(f"Tile {level}/{number} has {len(hashes) / HASH_BYTES:g} hashes, not {width}.")
            self._level(level).extend(hashes)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def partial(self) -> dict[tuple[int, int], bytes]:
        """The hashes of the partial tiles."""
        return {(level, number): bytes(self._levels[level]) for level, number, _width in edge_tiles(self._size)}

    @property
    def root(self) -> bytes:
        """The tree's root."""
        return root(self._size, self.partial)

    def add(self, leaves: bytes) -> Iterator[FullTile]:
        """Add leaves, 32 bytes each; the tiles that became full, each after those below it. To be read to its end."""
        at = 0
        while at < len(leaves):
            taken = leaves[at : at + TILE_BYTES - len(self._level(0))]
            at += len(taken)
            self._levels[0] += taken
            self._size += len(taken) // HASH_BYTES
            yield from self._full_tiles()

    def _full_tiles(self) -> Iterator[FullTile]:
        level = 0
        while len(self._level(level)) == TILE_BYTES:
            hashes = bytes(self._levels[level])
            tile_root = full_root(hashes)
            yield FullTile(level, (self._size >> TILE_HEIGHT * (level + 1)) - 1, hashes, tile_root)
            self._levels[level].clear()
            level += 1
            self._level(level).extend(tile_root)

    def _level(self, level: int) -> bytearray:
        while len(self._levels) <= level:
            self._levels.append(bytearray())
        return self._levels[level]


# What who holds the proof does.


def root_by_inclusion(leaf: bytes, position: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root of the tree that has the leaf at this position, by its proof; None where the proof is none of such a tree."""
    try:
        ranges = inclusion_ranges(position, size)
    except ValueError:
        return None
    if len(ranges) != len(proof):
        return None
    for subtree, given in zip(ranges, proof, strict=True):
        leaf = node_hash(given, leaf) if subtree.end <= position else node_hash(leaf, given)
    return leaf


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the old tree is the beginning of the new one. That of nothing is the beginning of any."""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        return not proof and old_root == (EMPTY_ROOT if old == 0 else new_root)
    given = list(proof)
    ranges = consistency_ranges(old, new)
    if len(given) != len(ranges):
        return False
    if ranges[0].end == old:
        first, ranges = given.pop(0), ranges[1:]
    else:
        first = old_root
    of_old = of_new = first
    for subtree, it in zip(ranges, given, strict=True):
        if subtree.end <= old:
            of_old, of_new = node_hash(it, of_old), node_hash(it, of_new)
        else:
            of_new = node_hash(of_new, it)
    return of_old == old_root and of_new == new_root
