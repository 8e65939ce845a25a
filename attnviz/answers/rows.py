"""The rows of some queries of a head, so many at a time, however many are computed together."""

from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.inspection import HeadStack, Seen


def rows_of(
    queries: np.ndarray, stacks: Iterator[HeadStack], place: int, at_once: int
) -> Iterator[Seen]:
    """The rows of some queries, ascending, of the head at `place` in the stacks that have its rows.

    `at_once` of them come together, and fewer at the end.
    """
    held: list[Seen] = []
    left = len(queries)
    while left:
        wanted = min(at_once, left)
        while sum(len(part.weights) for part in held) < wanted:
            held.append(_of_stack(queries, next(stacks), place))
        joined = held[0] if len(held) == 1 else _joined(held)
        yield _some(joined, slice(0, wanted))
        held = [_some(joined, slice(wanted, None))]
        left -= wanted


def _of_stack(queries: np.ndarray, stack: HeadStack, place: int) -> Seen:
    """Those of the rows that a stack has."""
    first, end = np.searchsorted(queries, (stack.rows.start, stack.rows.stop))
    own = queries[first:end] - stack.rows.start
    dropped, sink = (
        None if array is None else array[place, own] for array in (stack.dropped, stack.sink)
    )
    return Seen(stack.weights[place, own], dropped, sink)


def _some(seen: Seen, rows: slice) -> Seen:
    dropped, sink = (None if array is None else array[rows] for array in (seen.dropped, seen.sink))
    return Seen(seen.weights[rows], dropped, sink)


def _joined(parts: Sequence[Seen]) -> Seen:
    weights, *others = zip(*parts, strict=True)
    dropped, sink = (None if own[0] is None else np.concatenate(own) for own in others)
    return Seen(np.concatenate(weights), dropped, sink)
