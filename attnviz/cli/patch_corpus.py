"""`attnviz patch --tsv FILE`: which heads carry what differs, over many twins."""

from itertools import islice
from typing import TYPE_CHECKING

from attnviz.attention.request import WHOLE
from attnviz.cli.options import Output
from attnviz.cli.output import writing
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnviz.answers.patch import EachPatched
    from attnviz.cli.patch import Asker
    from attnviz.corpus.document import Document, Problem
    from attnviz.corpus.twins import TwinFiles
    from attnviz.model import Model


def over_twins(name: str, asker: "Asker", output: Output) -> None:
    """Patch one pair of twins after the other, and write what each head restores on average."""
    from attnviz.answers.patch_summary import Tally
    from attnviz.corpus.document import Problem
    from attnviz.corpus.twins import TwinFiles

    session, reader = asker.session, TwinFiles([name])
    tally = Tally(asker.patched.rows or ())
    with session:
        model = session.load(session.choice)
        for number, twins in enumerate(islice(_twins(reader), asker.patched.limit), start=1):
            place = f"{twins.source}:{twins.line}: " if twins.line else ""
            with session.trying(place):
                if isinstance(twins, Problem):
                    raise RequestError(twins.message)
                session.spinner.update(f"twins {number}")
                tally.add(_asked(asker, model, twins))
        if reader.alone:
            what = "sentence has" if reader.alone == 1 else "sentences have"
            session.notes.say(f"{reader.alone} {what} no twin, and none of them is patched")
        answer = tally.summary(len(session.errors))
        session.spinner.make_way()
        session.note_what_rows_lack(answer, output.form)
    with writing(output, session.notes, asker.patched.top) as write:
        write(answer, 0)
    session.finish("pair")


def _twins(reader: "TwinFiles") -> "Iterator[Document | Problem]":
    for file in reader.files():
        yield from reader.documents(file)


def _asked(asker: "Asker", model: "Model", twins: "Document") -> "EachPatched":
    """What each head restores in one pair."""
    from attnviz.answers.patch import EachPatched
    from attnviz.corpus.twins import Words

    words = twins.marks if isinstance(twins.marks, Words) else Words()
    texts = [model.tokenize(text) for text in (twins.text, twins.pair) if text is not None]
    a, b = model.inspect_tokens(texts, WHOLE)
    query = asker.patched.query or words.query
    found = asker.ask((a, b), query, words.of, words.against)
    if not isinstance(found, EachPatched):
        raise TypeError("each head of twins is patched alone")
    return found
