"""The same fold on many machines, under Ray Data: actors fold shards, their sums are merged here.

Ray places the actors, starts a lost one again and runs its shard anew. A result counts once.
"""

import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from attnviz.corpus.document import Document, Problem, Reader
from attnviz.corpus.fold import Folded, Tally, Work, fold
from attnviz.corpus.kept import Kept
from attnviz.corpus.pace import Rhythm, Stop
from attnviz.corpus.ray_cluster import Cluster, connected, has
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import ModelFacts
from attnviz.model.load import ModelOptions, load_model
from attnviz.model.model import Model

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS_A_WORKER = 8
"""So many shards are wanted for each worker: the last ones end at about the same time."""

SHARD_BYTES = 4 << 20
"""A larger file is cut into parts, and small ones make a shard together, up to this size."""

MOST_PARTS = 64
"""The most parts of a file: whoever folds one of them reads the whole file."""

RETRIES = 3
"""How often Ray runs a shard again that was lost with its worker."""

Part = tuple[str, int, int]
"""A file, i and m: the i-th of every m records."""

Shard = list[Part]

Progress = Callable[[Tally, float], None]
"""Called with what was read so far, and which part of all shards that is."""


class Loading(NamedTuple):
    """How each worker loads the model: what `load_model` takes."""

    name: str
    options: ModelOptions

    def model(self) -> Model:
        """The model; errors as in `load_model`."""
        return load_model(self.name, **self.options)


def fold_ray(
    work: Work,
    reader: Reader,
    loading: Loading,
    facts: ModelFacts,
    cluster: Cluster,
    kept: Kept | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Folded:
    """Fold a corpus as `fold` does, with an actor a worker; files are read by the workers.

    `progress` is also called before the first shard, with what `kept` has. Once `stop` is asked,
    the shards that are merged are kept, and those under way are lost. Raises RequestError
    without Ray, for an address that does not answer, or for standard input,
    AttnvizError for a worker that is lost for good, and whatever loading the model raises.
    """
    files = reader.files()
    if "-" in files:
        raise RequestError(
            "--engine ray reads files on its workers, and standard input is here",
            "write it into a file that all workers can read, or leave out --engine",
        )
    total = Folded(work.accumulator(facts))
    state = kept.load(total.accumulator) if kept is not None else None
    with connected(cluster):
        gpu = loading.options.get("device", "auto") in ("auto", "cuda") and has("GPU") > 0
        workers = cluster.workers or max(1, has("GPU" if gpu else "CPU"))
        plan = _Plan.of(files, workers)
        if state is not None and state[1] is not None:
            total, plan = state[0], _Plan.kept(state[1])
        keep = _Keep(kept, progress)
        keep(total, plan)
        keep.now(total, plan)  # a file that cannot be written is told now
        job = _Job(work, reader, loading, plan.shards, os.getcwd())
        try:
            results = _results(job, plan.left(), workers, gpu)
            for number, result in (stop or Stop()).until(results):
                part = work.accumulator(facts)
                part.restore(result.state)
                keep.whole = False
                total.accumulator.merge(part)
                total.tally = total.tally.plus(result.tally)
                plan.done.append(number)
                keep(total, plan)
        finally:
            keep.now(total, plan)
    return total


@dataclass
class _Plan:
    """All shards of a corpus, and the numbers of those that are merged."""

    shards: list[Shard]
    done: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, files: Sequence[str], workers: int) -> "_Plan":
        """A shard is a part of a large file, or several small files."""
        wanted = -(-workers * SHARDS_A_WORKER // len(files))
        shards: list[Shard] = []
        room = 0
        for file in files:
            size = _size_of(file)
            parts = min(MOST_PARTS, max(wanted, -(-size // SHARD_BYTES)))
            if parts > 1:
                shards += [[(file, part, parts)] for part in range(parts)]
                room = 0
            elif size <= room:
                shards[-1].append((file, 0, 1))
                room -= size
            else:
                shards.append([(file, 0, 1)])
                room = SHARD_BYTES - size
        return cls(shards)

    @classmethod
    def kept(cls, told: Any) -> "_Plan":
        """As it was kept; RequestError if another engine kept it."""
        if not isinstance(told, dict) or "shards" not in told:
            raise RequestError(
                "--resume names a run of --engine local", "go on without --engine ray"
            )
        shards = [[(file, part, parts) for file, part, parts in shard] for shard in told["shards"]]
        return cls(shards, list(told["done"]))

    def told(self) -> dict[str, Any]:
        """In JSON."""
        return {"shards": self.shards, "done": self.done}

    def left(self) -> list[int]:
        """The numbers of the shards that are not merged yet."""
        done = set(self.done)
        return [number for number in range(len(self.shards)) if number not in done]


def _size_of(file: str) -> int:
    """Its bytes; those of a whole shard where this machine cannot tell."""
    with suppress(OSError):
        return os.path.getsize(file)
    return SHARD_BYTES


class _Keep:
    """Keeps what is merged now and then, and tells of it all.

    `whole`: no shard is merged in part.
    """

    def __init__(self, kept: Kept | None, progress: Progress | None) -> None:
        self._kept, self._progress = kept, progress
        self._rhythm = Rhythm()
        self._waits = False
        self.whole = True

    def __call__(self, total: Folded, plan: _Plan) -> None:
        self.whole = self._waits = True
        if self._rhythm.due:
            with self._rhythm.keeping():
                self.now(total, plan)
        if self._progress is not None:
            self._progress(total.tally, len(plan.done) / len(plan.shards))

    def now(self, total: Folded, plan: _Plan) -> None:
        """Keep what was not kept yet."""
        if self._kept is not None and self._waits and self.whole:
            self._kept.save(total, plan.told())
        self._waits = False


class _Job(NamedTuple):
    """What each worker is told; `folder` is where the files' names begin."""

    work: Work
    reader: Reader
    loading: Loading
    shards: list[Shard]
    folder: str


class _Result(NamedTuple):
    """What a shard came to."""

    state: dict[str, Any]
    tally: Tally


class _Worker:
    """An actor of Ray: loads the model once, and folds the shards that it is given."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._model: Model | None = None

    def __call__(self, batch: dict[str, Any]) -> "pa.Table":
        import pyarrow as pa

        number = int(batch["shard"][0])
        content = pickle.dumps(self._result(self._job.shards[number]), protocol=5)
        return pa.table({"shard": [number], "result": pa.array([content], pa.large_binary())})

    def _result(self, shard: Shard) -> _Result | AttnvizError:
        try:
            folded = fold(self._job.work, self._documents(shard), self._loaded())
        except AttnvizError as error:
            return error
        return _Result(folded.accumulator.state(), folded.tally)

    def _loaded(self) -> Model:
        if self._model is None:
            with suppress(OSError):  # another machine may lack the folder
                os.chdir(self._job.folder)
            self._model = self._job.loading.model()
        return self._model

    def _documents(self, shard: Shard) -> Iterator[Document | Problem]:
        for file, part, parts in shard:
            yield from islice(self._job.reader.documents(file), part, None, parts)


def _results(
    job: _Job, numbers: Sequence[int], workers: int, gpu: bool
) -> Iterator[tuple[int, _Result]]:
    """Each shard's number and result, as they come."""
    if not numbers:
        return
    import ray.data
    from ray.exceptions import RayError

    shards = ray.data.from_items([{"shard": n} for n in numbers], override_num_blocks=len(numbers))
    with warnings.catch_warnings():
        # max_restarts and max_task_retries have no other place until Ray 2.64
        warnings.simplefilter("ignore")
        folded = shards.map_batches(
            _Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                size=min(workers, len(numbers)), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=None if gpu else 1,
            num_gpus=1 if gpu else None,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
    folded.context.enable_progress_bars = False
    folded.context.print_on_execution_start = False
    folded.context.execution_no_progress_timeout_s = -1  # a shard takes as long as it takes
    try:
        for row in folded.iter_rows():
            result = pickle.loads(row["result"])
            if isinstance(result, AttnvizError):
                raise result
            yield row["shard"], result
    except RayError as error:
        raise _failed(error) from error


def _failed(error: Exception) -> AttnvizError:
    """What to say of a shard that failed, or whose worker was lost again and again."""
    from ray.exceptions import RayActorError

    if isinstance(error, RayActorError) and not error.actor_init_failed:
        return AttnvizError(
            f"a worker of Ray was lost {RETRIES + 1} times with the same part of the corpus",
            "look whether its machine runs out of memory; --resume goes on with what was done",
        )
    causes = re.findall(r"^\s*((?!ray\.)[\w.]+(?:Error|Exception): .+)$", str(error), re.MULTILINE)
    said = next(iter(causes), str(error).strip().partition("\n")[0])
    return AttnvizError(
        f"a worker of Ray failed: {said}", "its machines need the same attnviz, model and files"
    )
