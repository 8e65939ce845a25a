"""What a picture's heading tells of the rows drawn: the parts of them that cells do not show."""

from dataclasses import dataclass, field

import numpy as np

from attnviz.inspection import Block, Context


@dataclass(frozen=True)
class Shares:
    """Means over all rows drawn; None where there is nothing to tell.

    `dropped` went to special tokens, which are left out; `sink`, to the model's sink; `inside`
    stayed in the view's window.
    """

    dropped: float | None = None
    sink: float | None = None
    inside: float | None = None


@dataclass(frozen=True, eq=False)
class ShareTally:
    """Adds the rows drawn up, stack by stack."""

    context: Context
    _found: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, stack: Block, rows: slice = slice(None)) -> None:
        """Count some of a stack's rows in."""
        inside = None if self.context.window is None else stack.weights.sum(axis=-1)
        for name, found in (("dropped", stack.dropped), ("sink", stack.sink), ("inside", inside)):
            if found is not None:
                self._found.setdefault(name, []).append(found[:, rows].ravel())

    def join(self, other: "ShareTally") -> None:
        """Count in what another has counted."""
        for name, found in other._found.items():
            self._found.setdefault(name, []).extend(found)

    @property
    def shares(self) -> Shares:
        """The means of what was added."""
        return Shares(
            **{name: float(np.concatenate(found).mean()) for name, found in self._found.items()}
        )
