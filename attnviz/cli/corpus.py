"""What `survey` and `probe` share: which texts, how they are folded, and how far that is."""

import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attnviz.cli.options import INPUT, RARE, SHOW, argument, count, valued
from attnviz.cli.output import complain, on_terminal
from attnviz.cli.reading import is_piped
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from rich.progress import Progress

    from attnviz.cli.session import Session
    from attnviz.corpus.document import Document
    from attnviz.corpus.fold import Folded, Tally, Work
    from attnviz.corpus.reading import Files
    from attnviz.model import Model

SHOWN_EVERY = 0.2  # seconds
KEPT_EVERY = 1.0  # seconds, or more: writing takes a twentieth of the time at most


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
    stride: Annotated[
        int | None,
        count("Windows of a long text, N tokens apart; without, side by side.", "N", RARE),
    ] = None
    address: Annotated[
        str | None, valued("HOST:PORT", RARE, "A running cluster. Without: one here.")
    ] = None
    workers: Annotated[int | None, count("How many workers of Ray.", "N", RARE)] = None

    def check(self) -> None:
        """Raise RequestError for options that do not go together."""
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
    work: "Work", reader: "Files", running: Running, session: "Session"
) -> "tuple[Folded, Model]":
    """Load the model, and fold all that is read, here or on a cluster; tell what was left out.

    RequestError if nothing could be read.
    """
    running.check()
    files = reader.files()
    if "-" in files and on_terminal(sys.stdin):
        session.notes.say("waiting for texts, one a line, on standard input; Ctrl-D ends them")
    model = session.load(session.choice)
    if running.stride is not None:
        model.windows("a", running.stride)  # a stride that is wrong is so for all texts
    with _Shown(session, reader, running.limit) as shown:
        if running.engine == "ray":
            folded = _on_cluster(work, reader, running, session, shown)
        else:
            folded = _here(work, reader, running, session, shown)
        shown.tell(folded.tally)
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
) -> "Folded":
    from attnviz.corpus.fold import fold
    from attnviz.corpus.kept import documents_from

    model = session.load(session.choice)
    keeper = _Keeper(running.resume, work, reader, model)
    start, done = keeper.start()
    if start is not None:
        shown.begin(start.tally)
    documents = documents_from(reader, reader.files(), done)
    if running.limit is not None:
        before = start.tally.documents + start.tally.left_out if start else 0
        documents = islice(documents, max(0, running.limit - before))
    if done is not None and done.get("whole"):
        documents = iter(())
    folded = fold(work, documents, model, start, keeper.keep, shown.show)
    keeper.finish(folded, whole=running.limit is None)
    return folded


def _on_cluster(
    work: "Work",
    reader: "Files",
    running: Running,
    session: "Session",
    shown: "_Shown",
) -> "Folded":
    from attnviz.corpus.kept import Kept
    from attnviz.corpus.ray_cluster import Cluster
    from attnviz.corpus.ray_engine import Loading, fold_ray

    model, choice = session.load(session.choice), session.choice
    path = running.resume
    kept = None if path is None else Kept.of(path, work, reader, model.facts)
    options: Any = choice.options | {"device": choice.place}
    loading = Loading(choice.name, options)
    cluster = Cluster(running.workers, running.address)
    return fold_ray(work, reader, loading, model.facts, cluster, kept, shown.show_part)


class _Keeper:
    """Writes to the file of `--resume` now and then, and at the end."""

    def __init__(self, path: Path | None, work: "Work", reader: "Files", model: "Model") -> None:
        from attnviz.corpus.kept import Kept

        self._kept = None if path is None else Kept.of(path, work, reader, model.facts)
        self._new = partial(work.accumulator, model.facts)
        self._done: dict[str, Any] | None = None
        self._next = 0.0

    def start(self) -> "tuple[Folded | None, dict[str, Any] | None]":
        """What was folded before, and how far; a file that cannot be written is told now."""
        from attnviz.corpus.fold import Folded

        if self._kept is None:
            return None, None
        found = self._kept.load(self._new())
        if found is None:
            self._kept.save(Folded(self._new()), None)
            return None, None
        folded, self._done = found
        if self._done is not None and "file" not in self._done:
            raise RequestError(
                f"{self._kept.path} keeps a run of --engine ray", "go on with --engine ray"
            )
        return folded, self._done

    def keep(self, folded: "Folded", last: "Document | None") -> None:
        """Write what was folded up to this document, unless some was written a moment ago."""
        from attnviz.corpus.kept import place_of

        self._done = place_of(last) or self._done
        if self._kept is not None and time.monotonic() >= self._next:
            began = time.monotonic()
            self._kept.save(folded, self._done)
            ended = time.monotonic()
            self._next = ended + max(KEPT_EVERY, 20 * (ended - began))

    def finish(self, folded: "Folded", whole: bool) -> None:
        """Write all; `whole`: nothing is left to read."""
        if self._kept is not None:
            self._kept.save(folded, self._done and self._done | {"whole": whole})


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
        self._first, self._told = tally, len(tally.problems)
        if tally.documents:
            self._session.notes.say(f"going on after {tally.documents} documents")

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
