"""What answers about a corpus share: how much was read, and numbers with their intervals."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A number over a corpus, and its 95 % interval; None for what there is not."""

    mean: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, mean: float, low: float = np.nan, high: float = np.nan) -> "Estimate":
        """From numbers of which NaN says that there is none."""
        return cls(*(None if np.isnan(number) else float(number) for number in (mean, low, high)))

    def data(self, name: str = "mean") -> dict[str, Any]:
        """The three in JSON; `name`: what the number itself is called."""
        return {name: self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class CorpusFacts:
    """Which files were read, and how much of them.

    `windows`: the texts that were run; `left_out`: documents that could not be read or run.
    """

    files: tuple[str, ...]
    documents: int
    windows: int
    pieces: int
    words: int
    left_out: int = 0

    def data(self) -> dict[str, Any]:
        """The counts in JSON; work that is interrupted gives no answer."""
        return asdict(self) | {"files": list(self.files), "interrupted": False}


@dataclass(frozen=True)
class Intervals:
    """How the intervals were computed."""

    method: str
    resamples: int
    level: float = 0.95

    def data(self) -> dict[str, Any]:
        """The method in JSON."""
        return {"level": self.level, "method": self.method, "resamples": self.resamples}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON has them: numpy's numbers as Python's, None for NaN."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        own = value.item() if isinstance(value, np.generic) else value
        found[name] = None if isinstance(own, float) and np.isnan(own) else own
    return found
