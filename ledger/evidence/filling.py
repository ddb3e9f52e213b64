"""What proves many leaves of a tree at once: the roots of the largest complete subtrees that fill the places between them.

They stand in the order of their positions, so that their hashes alone tell, with the positions of the leaves and the tree's size,
which they are: nothing else is written. Leaves and roots, from left to right, add up to the tree's root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from jobledger.ledger.evidence.tree import HASH_BYTES, Node, Range, Tiles, fold, full_root, node_hash, root_of


def filling(begin: int, end: int) -> Iterator[Node]:
    """The largest complete subtrees of the leaves from *begin* to before *end*, from left to right."""
    while begin < end:
        height = (end - begin).bit_length() - 1
        if begin:
            height = min(height, (begin & -begin).bit_length() - 1)
        yield Node(height, begin >> height)
        begin += 1 << height


def node_root(node: Node, tiles: Tiles) -> bytes:
    """The root of a complete subtree. Raises KeyError, IndexError for what the tiles do not hold."""
    begin = node.number << node.height
    return root_of(Range(begin, begin + (1 << node.height)), tiles)


class Refolding:
    """The root of a tree of *size* leaves, of some leaves and, as *between* gives them, the hashes that fill what lies between.

    In the order of positions. Its calls raise ValueError where these do not make such a tree.
    """

    def __init__(self, size: int, between: Iterable[bytes]) -> None:
        self._size = size
        self._between = iter(between)
        self._roots: list[tuple[int, bytes]] = []
        self._at = 0

    def add(self, position: int, headers: Sequence[bytes]) -> None:
        """Add the headers of events that stand one behind the other, from *position* on: their leaves."""
        end = position + len(headers)
        if not self._at <= position < end <= self._size:
            raise ValueError(f"There is no place for position {position}.")
        if self._at < position:
            self._fill(position)
        leaves = b"".join([sha256(b"\0" + header).digest() for header in headers])
        for node in filling(position, end):
            begin = (node.number << node.height) - position
            self._join(node.height, full_root(leaves[begin * HASH_BYTES : (begin + (1 << node.height)) * HASH_BYTES]))
        self._at = end

    def root(self) -> bytes:
        """The root, once every leaf was added."""
        self._fill(self._size)
        if next(self._between, None) is not None:
            raise ValueError("There are more hashes than places.")
        return fold([root for _height, root in self._roots])

    def _fill(self, end: int) -> None:
        for node in filling(self._at, end):
            given = next(self._between, b"")
            if len(given) != HASH_BYTES:
                raise ValueError("There are fewer hashes than places.")
            self._join(node.height, given)
        self._at = end

    def _join(self, height: int, root: bytes) -> None:
        roots = self._roots
        while roots and roots[-1][0] == height:
            root = node_hash(roots.pop()[1], root)
            height += 1
        roots.append((height, root))
