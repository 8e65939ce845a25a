"""What `attnviz find` found, as data: docs/schema/find-1 and find-summary-1, and CSV."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from attnviz.answers.answer import attention_facts, facts_of, model_facts
from attnviz.answers.find import Finding
from attnviz.answers.holding import Holding, HoldingHead
from attnviz.answers.phrase import Phrase
from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId
from attnviz.show.matrix_data import (
    CSV_HEADER,
    csv_header,
    head_cells,
    measure_cell,
    quoted,
    with_numbers,
)

FIND_SCHEMA = "attnviz.find/1"
SUMMARY_SCHEMA = "attnviz.find-summary/1"


def find_json(finding: Finding, reverse: Finding | None = None, top: int | None = None) -> bytes:
    """One sentence's `attnviz.find/1` object, on a line of its own.

    Heads come best first, all or the `top` best; numbers have float32's own shortest digits.
    `reverse`: the same link the other way round, where that was asked for.
    """
    facts = facts_of(finding.view.context, FIND_SCHEMA, keys="key_tokens")
    facts |= {
        "query": _phrase(finding.query),
        "key": _phrase(finding.key),
        "keys": finding.keys,
        "pairs": finding.pairs,
        "heads": list(_heads(finding, top)),
    }
    if reverse is not None:
        facts["reverse"] = list(_heads(reverse, top))
    return with_numbers(facts) + b"\n"


def summary_json(
    holding: Holding, reverse: Holding | None = None, left_out: int = 0, top: int | None = None
) -> bytes:
    """The `attnviz.find-summary/1` object that comes after several sentences.

    `left_out`: how many sentences could not be counted.
    """
    view, link = holding.view, holding.link or (None, None)
    facts = {
        "schema": SUMMARY_SCHEMA,
        "model": model_facts(view.model),
        "unit": view.unit,
        "measure": view.measure,
        **attention_facts(view.context),
        "formula": view.measured.told,
        "query": link[0],
        "key": link[1],
        "sentences": holding.sentences,
        "left_out": left_out,
        "heads": [_held(head) for head in holding.heads[:top]],
    }
    if reverse is not None:
        facts["reverse"] = [_held(head) for head in reverse.heads[:top]]
    return with_numbers(facts) + b"\n"


def find_csv_header(special: bool, measure: MeasureName) -> bytes:
    """The first line, as `csv_header`."""
    return csv_header(special, measure, CSV_HEADER + b",rank,expected,lift,argmax")


def find_csv(finding: Finding, text_index: int, top: int | None = None) -> Iterator[bytes]:
    """A row a head, best first, without the header; a phrase has its first word's index.

    `expected` is empty where a mask lets nothing be, `lift` where nothing was expected, and `head`
    where the measure has no heads.
    """
    measure = measure_cell(finding.view.measure)
    words = ",".join(
        f"{phrase.indices[0]},{quoted(phrase.text)}" for phrase in (finding.query, finding.key)
    )
    heads = list(_heads(finding, top))
    numbers = (
        _csv_numbers(head[name] for head in heads) for name in ("weight", "expected", "lift")
    )
    dropped = _csv_numbers(head.get("dropped") for head in heads)
    for head, weight, expected, lift, share in zip(heads, *numbers, dropped, strict=True):
        place = head_cells(HeadId(head["layer"], head["head"]))
        found = f"{weight},{head['rank']},{expected},{lift},{'true' if head['argmax'] else 'false'}"
        last = f",{share}" if "dropped" in head else ""
        yield f"{text_index},{place},{words},{found}{last}{measure}\n".encode()


def _csv_numbers(numbers: Iterable[Any]) -> list[str]:
    """Each number's shortest digits, nothing where there is none."""
    texts = with_numbers(list(numbers))[1:-1].decode().split(",")
    return ["" if text == "null" else text for text in texts]


def _phrase(phrase: Phrase) -> dict[str, Any]:
    return {"text": phrase.text, "indices": phrase.indices}


def _heads(finding: Finding, top: int | None) -> Iterator[dict[str, Any]]:
    """The heads' objects, best first; numbers stay float32."""
    for place in finding.order[:top]:
        layer, head = finding.places[place]
        lift, expected = finding.lifts[place], finding.expected[place]
        dropped = {} if finding.dropped is None else {"dropped": finding.dropped[place]}
        yield {
            "layer": layer,
            "head": head,
            "weight": finding.weights[place],
            "rank": int(finding.ranks[place]),
            "expected": None if np.isnan(expected) else expected,
            "lift": None if np.isnan(lift) else lift,
            "argmax": bool(finding.argmax[place]),
            **dropped,
        }


def _held(held: HoldingHead) -> dict[str, Any]:
    dropped = {} if held.dropped is None else {"dropped": held.dropped}
    return {
        "layer": held.head.layer,
        "head": held.head.head,
        "hits": held.hits,
        "share": held.share,
        "mean": held.mean,
        "minimum": held.minimum,
        "expected": held.expected,
        "lift": held.lift,
        **dropped,
    }
