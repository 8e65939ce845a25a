"""What attnviz remembers: `attnviz memory`."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from attnviz.errors import AttnvizError
from attnviz.files import is_own_file
from attnviz.inspection import Shown
from attnviz.inspection.memory import LAST, OTHER, is_kept, remembered
from attnviz.inspection.storage import glance

Kind = Literal["last", "B", "kept", "elsewhere"]
"""This terminal's last sentence; what it was compared with; kept by name; another terminal's."""


@dataclass(frozen=True)
class Remembered:
    """One inspection that is remembered; `obstacle` says why it cannot be read, if so."""

    name: str  # what `--from` takes
    kind: Kind
    text: str | None
    pair: str | None
    model: str | None
    saved: datetime
    size: int  # in bytes
    obstacle: str | None = None


@dataclass(frozen=True)
class Memory(Shown):
    """What is remembered, this terminal's own first."""

    schema: ClassVar[str] = "attnviz.memory/1"
    columns: ClassVar[tuple[str, ...]] = (
        "name", "kind", "text", "pair", "model", "saved", "bytes", "obstacle",
    )  # fmt: skip

    inspections: tuple[Remembered, ...]

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.memory/1` object; `top`: how many inspections it has."""
        rows = (dict(zip(self.columns, row, strict=True)) for row in self.rows(top))
        return {"schema": self.schema, "inspections": list(rows)}

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row an inspection."""
        for one in self.inspections[:top]:
            *first, _, size, obstacle = astuple(one)
            yield (*first, one.saved.isoformat(timespec="seconds"), size, obstacle)


def memory() -> Memory:
    """What is remembered now; RequestError if memory is off."""
    return Memory(tuple(_one(name, path) for name, path in remembered().items()))


def _one(name: str, path: Path) -> Remembered:
    facts = path.lstat()
    text = pair = model = obstacle = None
    try:
        is_own_file(path)  # an AttnvizError for a link or a pipe
        tokens, of = glance(path)
        text, pair, model = tokens.text, tokens.pair, of.title
    except AttnvizError as error:
        obstacle = error.message
    own: Kind = "last" if name == LAST else "B"
    return Remembered(
        name=name,
        kind="kept" if is_kept(path) else own if name in (LAST, OTHER) else "elsewhere",
        text=text,
        pair=pair,
        model=model,
        saved=datetime.fromtimestamp(facts.st_mtime, UTC),
        size=facts.st_size,
        obstacle=obstacle,
    )
