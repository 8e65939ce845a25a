"""What a run over a corpus keeps to be resumed: one file, written whole, that runs no code.

A safetensors file: the arrays of the accumulator's state; the metadata's entry `attnviz` is JSON:
what is folded, how far it came, the tally, and the state's other values.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.corpus.document import Document, Problem, Reader
from attnviz.corpus.fold import Accumulator, Folded, Tally, Work
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import check_readable, whole_file
from attnviz.inspection import ModelFacts

SCHEMA = "attnviz.kept/1"


@dataclass(frozen=True)
class Kept:
    """Where a run is kept, and what it is a run of: only the same is resumed.

    `asks`: the model, what is read and what is asked, in JSON.
    """

    path: Path
    asks: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, work: Work, reader: Reader, facts: ModelFacts) -> "Kept":
        """A run of this work over this corpus with this model."""
        asks = {"model": asdict(facts), "reads": reader.what, "work": work.what}
        return cls(path, json.loads(json.dumps(asks)))

    def load(self, accumulator: Accumulator) -> tuple[Folded, Any] | None:
        """What was folded before, into the accumulator, and how far; None if there is no file.

        RequestError if the file is of another run, AttnvizError if it is damaged.
        """
        if not self.path.exists():
            return None
        metadata, arrays = self._read()
        different = [name for name in self.asks if self.asks[name] != metadata["asks"].get(name)]
        if different:
            named = {"model": "another model", "reads": "other files", "work": "another question"}
            raise RequestError(
                f"{self.path} keeps a run with {' and '.join(named[name] for name in different)}",
                "give another --resume FILE, or delete this one to begin anew",
            )
        try:
            accumulator.restore(metadata["values"] | arrays)
            told = metadata["tally"]
            problems = tuple(Problem(**one) for one in told.pop("problems"))
            return Folded(accumulator, Tally(**told, problems=problems)), metadata["done"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged() from error

    def save(self, folded: Folded, done: Any) -> None:
        """Keep what is folded, and how far it came, which is JSON; errors as in `whole_file`."""
        from safetensors.numpy import save

        state = folded.accumulator.state()
        arrays = {
            name: np.ascontiguousarray(value)
            for name, value in state.items()
            if isinstance(value, np.ndarray)
        }
        told = {
            "schema": SCHEMA,
            "asks": self.asks,
            "done": done,
            "tally": asdict(folded.tally),
            "values": {name: value for name, value in state.items() if name not in arrays},
        }
        content = save(arrays, {"attnviz": json.dumps(told)})
        with whole_file(self.path) as stream:
            stream.write(content)

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        from safetensors import SafetensorError, safe_open

        check_readable(self.path)
        try:
            with safe_open(self.path, framework="np") as opened:
                metadata = json.loads((opened.metadata() or {})["attnviz"])
                if metadata["schema"] != SCHEMA:
                    raise KeyError(SCHEMA)
                return metadata, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise self._damaged() from error

    def _damaged(self) -> AttnvizError:
        return AttnvizError(
            f"{self.path} does not hold a run that --resume could go on with",
            "delete it to begin anew, or give another file",
        )


def named(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """A part's state under its name, next to others."""
    return {f"{name}.{key}": value for key, value in state.items()}


def part_of(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """The state of the part that has this name."""
    start = f"{name}."
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}


def documents_from(
    reader: Reader, files: Iterable[str], last: dict[str, Any] | None
) -> Iterator[Document | Problem]:
    """All files' documents, or those after the one that `place_of` named.

    What could not be read before that one was counted already.
    """
    rest = iter(files)
    if last is not None:
        rest = iter([*files])
        while (file := next(rest, None)) not in (None, last["file"]):
            pass
        if file is not None:
            yield from _after(reader.documents(file), last["number"])
    yield from chain.from_iterable(map(reader.documents, rest))


def place_of(last: Document | None) -> dict[str, Any] | None:
    """How far a run came, in JSON."""
    return None if last is None else {"file": last.source, "number": last.number}


def _after(documents: Iterator[Document | Problem], number: int) -> Iterator[Document | Problem]:
    waiting: list[Problem] = []
    for document in documents:
        if isinstance(document, Problem):
            waiting.append(document)
        elif document.number > number:
            yield from waiting
            yield document
            break
        else:
            waiting.clear()
    else:
        yield from waiting
    yield from documents
