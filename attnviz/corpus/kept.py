"""What a run over a corpus keeps to be resumed: one file, written whole, that runs no code.

A safetensors file: the arrays of the accumulator's state; the metadata's entry `attnviz` is JSON:
what is folded, how far it came, the tally, and the state's other values.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attnviz.corpus.document import Problem, Reader
from attnviz.corpus.fold import Accumulator, Folded, Tally, Work
from attnviz.corpus.stamps import Stamp, changed, stamps_of
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import check_readable, whole_file
from attnviz.inspection import ModelFacts

SCHEMA = "attnviz.kept/3"

OTHER = "give another --resume FILE"
ANEW = f"{OTHER}, or delete this one to begin anew"


class Run(NamedTuple):
    """How a model is run, beside what its facts say, in JSON; and its files."""

    options: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def stamped(self) -> Iterator[tuple[Path, tuple[str, Stamp]]]:
        """Each file, and what it is known by."""
        return zip(self.files, stamps_of(list(map(str, self.files))), strict=True)


@dataclass(frozen=True)
class Kept:
    """Where a run is kept, and what it is a run of: only the same is resumed.

    `asks`: the model, how it is run, what is read and what is asked, in JSON.
    """

    path: Path
    asks: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, path: Path, work: Work, reader: Reader, facts: ModelFacts, run: Run | None = None
    ) -> "Kept":
        """A run of this work over this corpus with this model."""
        run = run or Run({}, ())
        asks = {
            "model": asdict(facts),
            "run": run.options,
            "files": [(path.name, stamp) for path, (_, stamp) in run.stamped],
            "reads": reader.what,
            "work": work.what,
        }
        return cls(path, json.loads(json.dumps(asks)))

    def load(self, accumulator: Accumulator) -> tuple[Folded, Any] | None:
        """What was folded before, into the accumulator, and how far; None if there is no file.

        RequestError if the file is of another run, or none that `save` wrote; AttnvizError if it is
        damaged.
        """
        if not self.path.exists():
            return None
        if not self.path.is_file():
            what = "a folder" if self.path.is_dir() else "no file that can be read again"
            raise RequestError(f"--resume keeps work in a file, and {self.path} is {what}", OTHER)
        check_readable(self.path)
        if not self.path.stat().st_size:
            return None
        metadata, arrays = self._read()
        try:
            self._check(metadata["asks"])
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

    def _check(self, kept: dict[str, Any]) -> None:
        """RequestError unless the same is asked as in the file."""
        own = self.asks
        model, other = own["model"]["name"], kept["model"]["name"]
        if kept["model"] != own["model"]:
            came = f"{model} came" if model != other else "its numbers are others now"
            raise RequestError(f"{self.path} keeps a run of the model {other}, and {came}", ANEW)
        asked, question = own["work"]["question"], kept["work"]["question"]
        if asked != question:
            raise RequestError(f"{self.path} keeps a run of {question}, and {asked} came", ANEW)
        for part in ("run", "work"):
            now, then = own[part], kept[part]
            for name in now:
                if list(now) == list(then) and now[name] != then[name]:
                    raise RequestError(
                        f"{self.path} keeps a run with {name} {_told(then[name])}, and "
                        f"{_told(now[name])} came",
                        ANEW,
                    )
            if now != then:
                raise RequestError(f"{self.path} keeps a run with another question", ANEW)
        different = changed(kept["files"], own["files"])
        if different:
            told = f"{self.path} keeps a run of the model {model} as it was: {different}"
            raise RequestError(told, ANEW)
        reads, before = dict(own["reads"]), dict(kept["reads"])
        different = changed(before.pop("files"), reads.pop("files"))
        if different:
            raise RequestError(f"{self.path} keeps a run over other texts: {different}", ANEW)
        if before != reads:
            raise RequestError(f"{self.path} keeps a run that read the files in another way", ANEW)

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        from safetensors import SafetensorError, safe_open

        schema = self._schema()
        if not schema.startswith(SCHEMA.partition("/")[0]):
            raise RequestError(f"{self.path} exists, and it is no file that --resume wrote", OTHER)
        if schema != SCHEMA:
            raise RequestError(f"{self.path} was written by another version of attnviz", ANEW)
        try:
            with safe_open(self.path, framework="np") as opened:
                metadata = json.loads(opened.metadata()["attnviz"])
                return metadata, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise self._damaged() from error

    def _schema(self) -> str:
        """What the file's header says that it is, even if the rest is damaged; "" if nothing."""
        try:
            with self.path.open("rb") as stream:
                size = int.from_bytes(stream.read(8), "little")
                if size > self.path.stat().st_size:
                    return ""
                told = json.loads(stream.read(size))["__metadata__"]["attnviz"]
                return str(json.loads(told)["schema"])
        except (OSError, KeyError, TypeError, ValueError, RecursionError):
            return ""

    def _damaged(self) -> AttnvizError:
        return AttnvizError(
            f"{self.path} is damaged: the run that it kept cannot be resumed",
            "delete it to begin anew, or give another file",
        )


def _told(value: Any) -> str:
    names = {None: "none", True: "on", False: "off"}
    return names[value] if value is None or isinstance(value, bool) else str(value)


def named(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """A part's state under its name, next to others."""
    return {f"{name}.{key}": value for key, value in state.items()}


def part_of(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """The state of the part that has this name."""
    start = f"{name}."
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
