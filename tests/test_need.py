"""What of a long text is recorded: the layers that a command looks at, and later those it lacks."""

from pathlib import Path

import pytest
from conftest import ANIMAL

from attnviz.answers.explain import explain
from attnviz.attention import request as recording
from attnviz.attention.request import RecordRequest
from attnviz.cli.inputs import Inputs, Request
from attnviz.cli.options import HeadChoice, ModelChoice, Output, Source
from attnviz.cli.session import Session, request_for
from attnviz.errors import RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.memory import recall
from attnviz.model.native import projections_of

FACTS = ModelFacts("m", "bert", 6, 12, 384, 32, 1536, True)


@pytest.mark.parametrize(
    ("layers", "heads", "expected"),
    [
        (None, None, None),
        (["3"], None, {3}),
        (["-1"], None, {5}),
        (["0", "-6"], ["2"], {0}),
        (None, ["3.1", "L5H0"], {3, 5}),
        (["1", "4"], ["7"], {1, 4}),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_the_layers_named_are_recorded_and_without_any_all(
    layers: list[str] | None, heads: list[str] | None, expected: set[int] | None, whole: bool
) -> None:
    found = request_for(FACTS, HeadChoice(layers, heads), whole=whole)
    assert found == RecordRequest(None if expected is None else frozenset(expected), whole)


def test_what_goes_down_through_the_layers_needs_all() -> None:
    found = request_for(FACTS, HeadChoice(["5"]), per_head=False)
    assert found == RecordRequest(None, whole=False)


@pytest.mark.parametrize("layer", ["6", "-7", "x"])
def test_a_layer_that_is_not_there_is_told_before_anything_is_run(layer: str) -> None:
    with pytest.raises(RequestError, match="layer"):
        request_for(FACTS, HeadChoice([layer]))


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every text were a long one, and nothing had been looked at before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(recording, "KEPT_BYTES", 0)
    monkeypatch.setattr("attnviz.cli.inputs.is_piped", lambda: False)


def inputs_of(request: Request | None, text: str | None = None) -> Inputs:
    source = Source(None if text is None else [text])
    output = Output(quiet=True)
    return Inputs(source, Session(ModelChoice(), output), output, request)


def layer(number: str, whole: bool = False) -> Request:
    return lambda model: request_for(model, HeadChoice([number]), whole=whole)


def every_layer(model: ModelFacts) -> RecordRequest:
    return request_for(model, HeadChoice())


def looked_at(request: Request | None, text: str | None = None) -> Inspection:
    found: list[Inspection] = []
    inputs_of(request, text).each(lambda item: found.append(item.inspection))
    [inspection] = found
    return inspection


@pytest.mark.usefixtures("long", "minilm")
def test_what_the_last_text_lacks_is_recorded_when_it_is_looked_at() -> None:
    first = looked_at(layer("3"), ANIMAL)
    assert first.recorded == [3]
    assert first.layer(3).x is None
    remembered = recall()
    assert remembered is not None
    assert remembered.recorded == [3]
    again = looked_at(layer("3"))
    assert again.recorded == [3]
    assert looked_at(None).recorded == [3]
    every = looked_at(every_layer)
    assert every.recorded == [0, 1, 2, 3, 4, 5]
    assert every.layer(3).x is None
    for number in (3, 5):
        whole = looked_at(layer(str(number), whole=True))
        head = whole.view().context.head_at(number, 1)
        assert explain(whole, 3, head, projections_of(whole, number))
    assert looked_at(lambda model: RecordRequest()).layer(0).v is not None


@pytest.mark.usefixtures("long", "minilm")
def test_what_queries_were_made_of_is_had_by_running_it_again() -> None:
    inputs = inputs_of(every_layer, ANIMAL)
    for item in inputs:
        assert item.inspection.layer(2).x is None
        whole = inputs.session.with_inputs(item.inspection, item.tokens, 2)
        assert whole.recorded == [2]
        assert whole.layer(2).x is not None
        assert inputs.session.with_inputs(whole, item.tokens, 2) is whole
