"""One fold over a corpus, timed from its first text to its last, as a JSON object.

`survey` is asked for everything; `probe` reads CoNLL-U; `pass` runs the encoder and asks nothing;
`read` reads the files, and runs nothing.
Loading is not in `seconds`, nor is what Ray's workers take to start: as much as two shards of a
few sentences take is subtracted. `pieces`: tokens, special ones too. `cores`: the processors used.
`state`: the bytes of the sums that a worker sends, `merge`: the seconds that it takes to join them.

usage: python benchmarks/folded.py survey|probe|pass|read FILE [--model NAME] [--ray WORKERS]
"""

import argparse
import json
import os
import pickle
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from attnviz.attention.measures import MeasureName
from attnviz.corpus.document import Document, Reader
from attnviz.corpus.fold import Accumulator, Seen, Work, fold
from attnviz.corpus.place import documents_from
from attnviz.corpus.ray_cluster import Cluster
from attnviz.corpus.ray_engine import Loading, fold_ray
from attnviz.corpus.reading import Files
from attnviz.corpus.relations import asked as relations
from attnviz.corpus.survey import SurveyWork
from attnviz.inspection import ModelFacts
from attnviz.model import Model, load_model
from attnviz.text.tokens import Tokens
from attnviz.threads import thread_count

EXAMPLES = 5
"""As many as `survey --examples 5` shows of each head."""

FEW = "One sentence.\n" * 32


class Nothing:
    """An accumulator that adds nothing up."""

    def add(self, seen: Seen) -> None:
        """Nothing."""

    def merge(self, other: Any) -> None:
        """Nothing."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Pass:
    """Asks for nothing: what is left is the forward pass."""

    measure: MeasureName = "weights"

    @property
    def what(self) -> dict[str, Any]:
        """See Work."""
        return {"question": "nothing"}

    def accumulator(self, facts: ModelFacts) -> Accumulator:
        """See Work."""
        return Nothing()

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """See Work."""
        return [model.tokenize(document.text)]


def of(question: str, file: str) -> tuple[Work, Reader]:
    """What is asked, and who reads."""
    if question == "probe":
        return relations([file], "weights")
    return (Pass() if question == "pass" else SurveyWork(examples=EXAMPLES)), Files([file])


def here(question: str, file: str, name: str) -> dict[str, Any]:
    """On this machine's processors."""
    model = load_model(name)
    work, reader = of(question, file)
    files = reader.files()
    fold(work, islice(documents_from(reader, files, None), 8), model)  # what is loaded late
    start = time.perf_counter()
    folded = fold(work, documents_from(reader, files, None), model)
    seconds = time.perf_counter() - start
    tally = folded.tally
    told = {"documents": tally.documents, "pieces": tally.pieces, "cores": thread_count()}
    return {"seconds": seconds, **told, **merged(work, folded.accumulator, model.facts)}


def merged(work: Work, folded: Accumulator, facts: ModelFacts) -> dict[str, Any]:
    """How large the sums of a shard are, and how long they take to be joined to others."""
    content = pickle.dumps(folded.state(), protocol=5)
    start = time.perf_counter()
    part = work.accumulator(facts)
    part.restore(pickle.loads(content))
    folded.merge(part)
    return {"state": len(content), "merge": time.perf_counter() - start}


def read(file: str) -> dict[str, Any]:
    """What reading alone takes."""
    start = time.perf_counter()
    documents = sum(1 for _ in Files([file]).documents(file))
    return {"seconds": time.perf_counter() - start, "documents": documents, "pieces": 0}


def under_ray(question: str, file: str, name: str, workers: int) -> dict[str, Any]:
    """By so many workers with a thread each, in a cluster that runs already."""
    import ray

    ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    model = load_model(name)
    taken, pieces = [], 0
    for one in (_few(), _few(), file):  # the first time, Ray's own parts start too
        work, reader = of(question, one)
        start = time.perf_counter()
        folded = fold_ray(work, reader, Loading(name, {}), model.facts, Cluster(workers))
        taken.append(time.perf_counter() - start)
        pieces = folded.tally.pieces
    ray.shutdown()
    return {"seconds": taken[-1] - taken[-2], "started": taken[-2], "pieces": pieces}


def _few() -> str:
    path = Path(tempfile.gettempdir()) / "few.txt"
    path.write_text(FEW, encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    os.environ["ATTNVIZ_ENGINE"] = "torch"  # loaded before the first text, as beside it
    parser = argparse.ArgumentParser()
    parser.add_argument("question", choices=("survey", "probe", "pass", "read"))
    parser.add_argument("file")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--ray", type=int, metavar="WORKERS")
    given = parser.parse_args()
    question, file, name = given.question, given.file, given.model
    if question == "read":
        found = read(file)
    elif given.ray is None:
        found = here(question, file, name)
    else:
        found = under_ray(question, file, name, given.ray)
    print(json.dumps(found))
