"""`attnviz.patch`: which heads carry what differs between two sentences, or between many twins."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from attnviz.answers.align import aligned
from attnviz.answers.patch import EachPatched, Patched
from attnviz.answers.patch_summary import PatchSummary, Tally
from attnviz.answers.select import HeadName
from attnviz.api.inspecting import heads_named, looked_at
from attnviz.attention.edits import What
from attnviz.corpus.document import Document
from attnviz.corpus.patching import Patching, patched
from attnviz.corpus.twins import TwinFiles, Words
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.outcomes import Asked, OutcomeName
from attnviz.model import Model, check_ablatable
from attnviz.model.patching import one_target
from attnviz.model.reload import model_behind, model_for
from attnviz.models import DEFAULT
from attnviz.text.tokens import Typed, Unit


class PatchOptions(TypedDict, total=False):
    """What is patched, and what is measured: see `patch`."""

    what: What
    by: Literal["position"] | None
    rows: Sequence[str]
    outcome: OutcomeName | None
    of: str | None
    against: str | None
    logit: bool
    target: Typed | None
    unit: Unit


def patch(
    a: Inspection,
    b: Inspection,
    heads: HeadName | list[HeadName] | None = None,
    query: str | None = None,
    model: Model | None = None,
    **options: Unpack[PatchOptions],
) -> Patched | EachPatched:
    """Run B with heads of A in it: how much of what differs between them does that restore?

    `heads`: as "L3H1" or (3, 1), or "L3" for a whole layer, together; None: each of the model's
    alone. `query`: the word of both whose final state is measured. `what`: z (the default), q, k,
    v or weights. `by="position"`: at each word alone, too. `rows`: which words go where, as
    "tired=wide". `outcome`, `of`, `against`, `logit`: what is measured, as in `attnviz patch`.
    `target`: what the decoder beside the encoder is fed. The model is loaded by its name unless it
    is given.
    """
    for one in (a, b):
        check_ablatable(one)
    loaded = model_behind(b, model)
    a, b = one_target(loaded, a, b)
    return _patched(loaded, (a, b), heads, query, options)


def patch_twins(
    twins: str | Path | Iterable[tuple[Typed, Typed]],
    query: str | None = None,
    model: Any = DEFAULT,
    **options: Unpack[PatchOptions],
) -> PatchSummary:
    """The mean share that each head restores over many twins, pairs of sentences or a file of them
    as `attnviz patch --tsv` reads it; those that cannot be patched are counted as left out.
    """
    loaded, left_out, tally = model_for(model, None), 0, Tally(options.get("rows", ()))
    for text, pair, words in _read(twins):
        own: PatchOptions = {**options}
        own["of"], own["against"] = words.of or own.get("of"), words.against or own.get("against")
        try:
            texts = [loaded.tokenize(text), loaded.tokenize(pair)]
            a, b = loaded.inspect_tokens(texts)
            a, b = one_target(loaded, a, b)
            found = _patched(loaded, (a, b), None, query or words.query, own)
        except RequestError:
            left_out += 1
            continue
        if isinstance(found, EachPatched):
            tally.add(found)
    return tally.summary(left_out)


def _read(
    twins: str | Path | Iterable[tuple[Typed, Typed]],
) -> Iterable[tuple[Typed, Typed, Words]]:
    if not isinstance(twins, str | Path):
        yield from ((a, b, Words()) for a, b in twins)
        return
    reader = TwinFiles([str(twins)])
    for file in reader.files():
        for found in reader.documents(file):
            if not isinstance(found, Document):
                raise RequestError(str(found), "mend it, or take it out")
            yield found.text, found.pair or "", found.marks


def _patched(
    model: Model,
    two: tuple[Inspection, Inspection],
    heads: HeadName | list[HeadName] | None,
    query: str | None,
    options: PatchOptions,
) -> Patched | EachPatched:
    unit = options.get("unit", "word")
    words = aligned(*(looked_at(one, {"unit": unit})[0] for one in two))
    chosen = () if heads is None else tuple(heads_named(words.b.model, heads))
    by = options.get("by")
    if by is not None and not chosen:
        raise RequestError("no head was named to patch at each word", 'name one, as in "L3H1"')
    asked = Asked(
        options.get("outcome"),
        options.get("of"),
        options.get("against"),
        options.get("logit", False),
        options.get("target"),
    )
    rows = tuple(options.get("rows", ()))
    patching = Patching(chosen, by is not None, options.get("what", "z"), rows, asked)
    return patched(model, words, patching, None if query is None else words.find(query)[0])
