"""What `survey` and `probe` share: which texts, how they are folded, and how far that is."""

import sys
import time
from dataclasses import dataclass, replace
from itertools import islice
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attnviz.cli.interrupted import Heed
from attnviz.cli.options import INPUT, RARE, SHOW, Results, argument, count, valued
from attnviz.cli.output import complain, on_terminal
from attnviz.cli.reading import is_piped
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from attnviz.cli.session import Session
    from attnviz.corpus.document import Document, Problem
    from attnviz.corpus.fold import Accumulator, Folded, Tally, Work
    from attnviz.corpus.kept import Kept
    from attnviz.corpus.pace import Stop
    from attnviz.corpus.reading import Files
    from attnviz.model import Model

SHOWN_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class Texts:
    """Which files have the texts, and where in them."""

    files: Annotated[
        list[str] | None,
        argument(
            "FILE",
            "txt (a sentence or a document a line), csv, tsv, jsonl, parquet or conllu, also .gz "
            "and .zst; folders, patterns, s3:// and whatever fsspec opens; - is standard input.",
        ),
    ] = None
    column: Annotated[
        str | None,
        valued(
            "NAME",
            INPUT,
            "The column of tables with the texts. Without: text, sentence, or the only one of "
            "strings.",
        ),
    ] = None
    id_column: Annotated[
        str | None, valued("NAME", INPUT, "The column with their ids (id, if there is one).")
    ] = None
    pair_column: Annotated[
        str | None,
        valued("NAME", INPUT, "The column with second texts: of pairs, or for the decoder."),
    ] = None
    form: Annotated[
        Literal["txt", "csv", "tsv", "jsonl", "parquet", "conllu"] | None,
        valued("FORM", INPUT, "The form of all files, whatever their names say.", "--as"),
    ] = None

    def reader(self) -> "Files":
        """What reads them; RequestError if none is named, and none comes on standard input."""
        from attnviz.corpus.reading import Columns, Files

        names = self.files or (["-"] if is_piped() else [])
        if not names:
            raise RequestError(
                "no FILE was given, and nothing comes on standard input",
                "name files or folders, as in attnviz survey corpus.txt",
            )
        return Files(names, Columns(self.column, self.id_column, self.pair_column), self.form)

    def check(self, session: "Session") -> None:
        """RequestError for second texts beside a target; where there are some, none is written."""
        from attnviz.model.load import WRITTEN

        if self.pair_column is None:
            return
        if session.choice.target is not None:
            raise RequestError(
                "--target is one text for all, and --pair-column gives each text its own",
                "leave out one of the two",
            )
        session.unsaid = (WRITTEN,)


@dataclass(frozen=True)
class Running:
    """How much of a corpus is read, in which measure, where it is folded, and what is kept."""

    limit: Annotated[int | None, count("The first N documents alone.", "N", INPUT)] = None
    measure: Annotated[
        Literal["weights", "norm"],
        valued("NAME", SHOW, "weights (the default), or norm (how large the weighted values are)."),
    ] = "weights"
    resume: Annotated[
        Path | None,
        valued("FILE", INPUT, "Keep what was done in FILE, and go on from there next time."),
    ] = None
    engine: Annotated[
        Literal["local", "ray"], valued("NAME", INPUT, "local (the default), or ray: a cluster.")
    ] = "local"
    address: Annotated[
        str | None, valued("HOST:PORT", RARE, "A running cluster. Without: one here.")
    ] = None
    workers: Annotated[int | None, count("How many workers of Ray.", "N", RARE)] = None

    def check(self, output: Results) -> None:
        """Raise RequestError for options that do not go together."""
        if self.resume and output.file and realpath(self.resume) == realpath(output.file):
            raise RequestError(
                f"-o and --resume both name {self.resume}", "give each a name of its own"
            )
        if self.engine == "ray":
            if self.limit is not None:
                raise RequestError(
                    "--limit takes the first documents, and --engine ray reads files side by side",
                    "leave out one of the two",
                )
            return
        given = {"--address": self.address, "--workers": self.workers}
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise RequestError(f"{extra[0]} is for --engine ray", "add that, or leave it out")


def fold_corpus(
    work: "Work",
    reader: "Files",
    running: Running,
    session: "Session",
    stride: int | None = None,
) -> "tuple[Folded, Model]":
    """Load the model, and fold all that is read, here or on a cluster; tell what was left out.

    RequestError if nothing could be read.
    """
    files = reader.files()
    if "-" in files and on_terminal(sys.stdin):
        session.notes.say("waiting for texts, one a line, on standard input; Ctrl-D ends them")
    model = session.load(session.choice)
    if stride is not None:
        model.windows("a", stride)  # a stride that is wrong is so for all texts
    heed = Heed(session.notes, running.resume)
    with heed.heeding(), _Shown(session, reader, running.limit) as shown:
        run = _on_cluster if running.engine == "ray" else _here
        folded = run(work, reader, running, session, shown, heed.stop)
        shown.tell(folded.tally)
    heed.leave(folded)
    tally = folded.tally
    more = tally.left_out - len(tally.problems)
    if more > 0:
        session.notes.say(f"{more} more were left out")
    if not tally.documents:
        raise RequestError("no document could be read" + (", see above" if tally.left_out else ""))
    return folded, model


def _here(
    work: "Work",
    reader: "Files",
    running: Running,
    session: "Session",
    shown: "_Shown",
    stop: "Stop",
) -> "Folded":
    from attnviz.corpus.fold import fold
    from attnviz.corpus.place import documents_from

    model = session.load(session.choice)
    if running.resume is None:
        documents = islice(documents_from(reader, reader.files(), None), running.limit)
        return fold(work, documents, model, progress=shown.show, stop=stop)
    keeper = _Keeper(_kept(running.resume, work, reader, session), work.accumulator(model.facts))
    start = keeper.start()
    most = keeper.most(start, running.limit)
    shown.begin(start.tally)
    documents = islice(keeper.documents(start, reader), most)
    folded = fold(work, documents, model, start, keeper.keep, shown.show, stop)
    if not stop.asked and running.limit is None:
        keeper.keep(folded, whole=True)
    return folded


def _on_cluster(
    work: "Work",
    reader: "Files",
    running: Running,
    session: "Session",
    shown: "_Shown",
    stop: "Stop",
) -> "Folded":
    from attnviz.corpus.ray_cluster import Cluster
    from attnviz.corpus.ray_engine import Loading, fold_ray

    model, choice = session.load(session.choice), session.choice
    path = running.resume
    kept = None if path is None else _kept(path, work, reader, session)
    options: Any = choice.options | {"device": choice.place}
    loading = Loading(choice.name, options)
    cluster = Cluster(running.workers, running.address)
    return fold_ray(work, reader, loading, model.facts, cluster, kept, shown.show_part, stop)


def _kept(path: Path, work: "Work", reader: "Files", session: "Session") -> "Kept":
    """The file of a run of what was asked, with the model as it is now."""
    from attnviz.corpus.kept import Kept, Run
    from attnviz.models.files import parts_of

    model, options = session.load(session.choice), session.choice.options
    files: list[Path] = []
    if model.files is not None:
        parts = [part.path for part in parts_of(model.files.weights)]
        files = [path for path in (model.files.config, model.files.tokenizer, *parts) if path]
    run = Run({name: options[name] for name in ("attention", "target")}, tuple(files))
    return Kept.of(path, work, reader, model.facts, run)


class _Keeper:
    """What --resume FILE keeps of work on this machine, and how it goes on."""

    def __init__(self, kept: "Kept", new: "Accumulator") -> None:
        self._kept, self._new = kept, new
        self._whole = False  # nothing was left to read

    def start(self) -> "Folded":
        """What was folded before, and how far; a file that cannot be written is told now."""
        from attnviz.corpus.fold import Folded
        from attnviz.corpus.place import Place

        found = self._kept.load(self._new)
        if found is None:
            new = Folded(self._new)
            self.keep(new)
            return new
        folded, done = found
        if "shards" in done:
            raise RequestError(
                f"{self._kept.path} keeps a run of --engine ray", "go on with --engine ray"
            )
        self._whole = done["whole"]
        return replace(folded, place=Place.of(done))

    def documents(self, start: "Folded", reader: "Files") -> "Iterator[Document | Problem]":
        """Those that are left to be read; of streams only reading tells whether there are any."""
        from attnviz.corpus.place import documents_from
        from attnviz.corpus.stamps import is_stream

        files = reader.files()
        if self._whole and not any(map(is_stream, files)):
            return iter(())
        return documents_from(reader, files, start.place)

    def most(self, start: "Folded", limit: int | None) -> int | None:
        """How many of them the limit leaves; RequestError if more were read before."""
        if limit is None:
            return None
        read = start.place.read
        if read > limit:
            raise RequestError(
                f"{self._kept.path} keeps the first {read} documents, and --limit {limit} came",
                f"give --limit {read} or more, or another --resume FILE",
            )
        return limit - read + len(start.place.windows)

    def keep(self, folded: "Folded", whole: bool = False) -> None:
        """Write what is folded, and how far that is."""
        self._kept.save(folded, folded.place.data() | {"whole": whole})


class _Shown:
    """Tells what could not be read, and, in work that takes a while, how far it is."""

    def __init__(self, session: "Session", reader: "Files", limit: int | None) -> None:
        self._session, self._reader, self._limit = session, reader, limit
        self._size = reader.size
        self._enabled = on_terminal(sys.stderr) and not session.notes.quiet
        self._begun = self._shown = time.monotonic()
        self._first: Tally | None = None  # what was read before, with --resume
        self._bar: Progress | None = None
        self._told = 0
        self._merged: float | None = None  # the part that workers of Ray have read

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, tally: "Tally") -> None:
        """What was read already, and told, counts no more."""
        from attnviz.inspection.context import counted

        self._first, self._told = tally, len(tally.problems)
        if tally.documents:
            self._session.notes.say(f"going on after {counted(tally.documents, 'document')}")

    def show_part(self, tally: "Tally", part: float) -> None:
        """Called with all that was merged so far, and which part of the corpus it is."""
        if self._merged is None:
            self.begin(tally)
        self._merged = part
        self.show(tally)

    def show(self, tally: "Tally") -> None:
        """Called with all that was read so far."""
        from attnviz.cli.session import PATIENCE

        self.tell(tally)
        now = time.monotonic()
        if not self._enabled or now < self._shown + SHOWN_EVERY or now < self._begun + PATIENCE:
            return
        self._shown = now
        before = self._first.pieces if self._first else 0
        speed = f"{(tally.pieces - before) / (now - self._begun):,.0f} tokens/s"
        told = f"{tally.documents:,} documents"
        bar = self._bar or self._started()
        bar.update(bar.task_ids[0], completed=self._part(tally), description=told, speed=speed)

    def tell(self, tally: "Tally") -> None:
        """Report the problems that were not reported yet."""
        for problem in tally.problems[self._told :]:
            complain(AttnvizError(str(problem)))
        self._told = len(tally.problems)

    def _part(self, tally: "Tally") -> float:
        """The part of the corpus that was read, from 0 to 1; 0 if nothing is known of that."""
        if self._merged is not None:
            return self._merged
        parts = [self._reader.read / self._size if self._size else 0.0]
        if self._limit is not None:
            parts.append((tally.documents + tally.left_out) / self._limit)
        return min(1.0, max(parts))

    def _started(self) -> "Progress":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._session.spinner.stop()
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}"),
            TextColumn("{task.fields[speed]}"),
        ]
        if self._limit is not None or self._size:
            columns += [BarColumn(), TextColumn("time left"), TimeRemainingColumn()]
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.add_task("", total=1.0, speed="")
        self._bar.start()
        return self._bar
