"""Names of heads, and the facts of a model."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from attnviz.errors import RequestError

Window = tuple[int, int]
"""A part of a text: the index of its first token, and the end."""

FullHeadName = str | tuple[int, int | None]
"""A head with its layer: `"L3H1"`, `"3.1"`, `"3-1"`, `(3, 1)` or a HeadId."""

# Numbers are ASCII digits, and few: int() would also take "1_0", and fails beyond 4300 digits.
FULL_NAME = re.compile(r"[lL]([0-9]{1,9})[hH]([0-9]{1,9})|([0-9]{1,9})[.-]([0-9]{1,9})")


class HeadId(NamedTuple):
    """A head by layer and number, both counted from 0, printed as `L3H1`.

    If a measure mixes the heads of a layer, `head` is None, printed as `L3`.
    """

    layer: int
    head: int | None

    def __str__(self) -> str:
        return f"L{self.layer}" if self.head is None else f"L{self.layer}H{self.head}"

    @classmethod
    def named(cls, name: FullHeadName) -> "HeadId":
        """The head that `"L3H1"`, `"3.1"`, `"3-1"` or `(3, 1)` names; RequestError for another."""
        match = FULL_NAME.fullmatch(name.strip()) if isinstance(name, str) else None
        parts = name if match is None else [int(part) for part in match.groups() if part]
        if isinstance(parts, tuple | list) and len(parts) == 2 and isinstance(parts[0], int):
            return cls(*parts)
        raise RequestError(f"{name!r} is not a head", 'name it as in "L3H1" or (3, 1)')

    @property
    def place(self) -> int:
        """The number of its matrix in its layer, from 0."""
        return self.head or 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class ModelFacts:
    """A model's name, the article's hyperparameters, and whether it was trained.

    dtype: what it computed in. Recorded numbers are float32 whatever it is.
    """

    name: str
    family: str
    num_layers: int
    num_heads: int
    d_model: int
    d_k: int
    d_ff: int
    trained: bool
    seed: int | None = None
    dtype: str = "float32"

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float32" else f", in {self.dtype}"
        untrained = "" if self.trained else f", UNTRAINED (seed {self.seed})"
        return (
            f"{self.name}: {_counted(self.num_layers, 'layer')} × "
            f"{_counted(self.num_heads, 'head')}, "
            f"d_model {self.d_model}, d_k {self.d_k}, d_ff {self.d_ff}{dtype}{untrained}"
        )

    @property
    def title(self) -> str:
        """The name, marked if the model is untrained."""
        return self.name if self.trained else f"{self.name} (UNTRAINED)"

    def data(self) -> dict[str, Any]:
        """The facts as JSON has them; `seed` if untrained, `dtype` unless it is float32."""
        names = ("name", "family", "num_layers", "num_heads", "d_model", "d_k", "d_ff", "trained")
        facts = {name: getattr(self, name) for name in names}
        if not self.trained:
            facts["seed"] = self.seed
        return facts if self.dtype == "float32" else facts | {"dtype": self.dtype}
