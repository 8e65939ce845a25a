"""Find what a model does to x W_Q and x W_K by position: a rotation.

Rotary position embeddings (Su et al. 2021, "RoFormer") turn pairs of numbers by an angle that grows
with the position. Both vectors are known, and so is the turn, to rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnviz.attention.shapes import Float

Complex = np.ndarray


@dataclass(frozen=True, eq=False)
class Turn:
    """The linear map: pairs of numbers, as complex ones, times `turns`, (piece, width / 2).

    `width`: of the numbers that come in pairs; the others stay. `in_turn`: a pair is two
    neighbours; else one of the first half and one of the second.
    """

    width: int
    in_turn: bool
    turns: Complex

    def __call__(self, vectors: Float[np.ndarray, "piece vector d_k"]) -> np.ndarray:
        """The vectors of each piece, turned by its own angles."""
        turned = vectors.copy()
        pairs = paired(vectors, self.width, self.in_turn) * self.turns[:, None]
        halves = pairs.real, pairs.imag
        if self.in_turn:
            turned[..., 0 : self.width : 2], turned[..., 1 : self.width : 2] = halves
        else:
            half = self.width // 2
            turned[..., :half], turned[..., half : self.width] = halves
        return turned


def paired(vectors: np.ndarray, width: int, in_turn: bool) -> Complex:
    """The first `width` numbers of each vector as complex ones."""
    if in_turn:
        found: Complex = vectors[..., 0:width:2] + 1j * vectors[..., 1:width:2]
        return found
    half = width // 2
    return np.asarray(vectors[..., :half] + 1j * vectors[..., half:width])


def find_turn(
    before: Float[np.ndarray, "piece vector d_k"],
    after: Float[np.ndarray, "piece vector d_k"],
    tolerance: float,
) -> Turn | None:
    """What turns each piece's vectors, two or more, into others; None if no rotation does."""
    most = tolerance * np.abs(after).max()
    for turn in _candidates(before, after):
        is_rotation = np.abs(np.abs(turn.turns) - 1).max() <= tolerance
        if is_rotation and np.abs(turn(before) - after).max() <= most:
            return turn
    return None


def _candidates(before: np.ndarray, after: np.ndarray) -> Iterator[Turn]:
    """The turns that fit best, by how many numbers come in pairs, and which."""
    d_k = before.shape[-1]
    for width in range(d_k - d_k % 2, 0, -2):
        for in_turn in (False, True):
            u, w = (paired(one, width, in_turn) for one in (before, after))
            square = (np.abs(u) ** 2).sum(axis=1)
            turns = (u.conj() * w).sum(axis=1) / np.where(square == 0, 1, square)
            yield Turn(width, in_turn, turns)
