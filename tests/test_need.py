"""What of a long text is recorded: the layers that a command looks at, and later those it lacks."""

from pathlib import Path

import pytest
from conftest import ANIMAL

from attnviz.answers.explain import explain
from attnviz.attention import request as recording
from attnviz.attention.measures import MeasureName
from attnviz.attention.request import RecordRequest
from attnviz.cli.need import EVERYTHING, NOTHING, Need
from attnviz.cli.options import HeadChoice, ModelChoice, Output, Source
from attnviz.cli.output import Notes
from attnviz.cli.sentences import Sentences
from attnviz.errors import RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.storage import recall
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
    found = Need(HeadChoice(layers, heads), whole=whole).of(FACTS)
    assert found == RecordRequest(None if expected is None else frozenset(expected), whole)


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_what_goes_down_through_the_layers_needs_all(measure: MeasureName) -> None:
    assert Need(HeadChoice(["5"]), measure).of(FACTS) == RecordRequest(None, whole=False)


@pytest.mark.parametrize("layer", ["6", "-7", "x"])
def test_a_layer_that_is_not_there_is_told_before_anything_is_run(layer: str) -> None:
    with pytest.raises(RequestError, match="layer"):
        Need(HeadChoice([layer])).of(FACTS)


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every text were a long one, and nothing had been looked at before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(recording, "KEPT_BYTES", 0)
    monkeypatch.setattr("attnviz.cli.sentences.is_piped", lambda: False)


def looked_at(need: Need, text: str | None = None) -> Inspection:
    source = Source(None if text is None else [text])
    sentences = Sentences(source, ModelChoice(), Output(quiet=True), Notes(True), need)
    [(_, inspection)] = list(sentences)
    return inspection


@pytest.mark.usefixtures("long", "minilm")
def test_what_the_last_text_lacks_is_recorded_when_it_is_looked_at() -> None:
    third = Need(HeadChoice(["3"]))
    first = looked_at(third, ANIMAL)
    assert first.recorded == [3]
    assert first.layer(3).x is None
    remembered = recall()
    assert remembered is not None
    assert remembered.recorded == [3]
    again = looked_at(third)
    assert again.recorded == [3]
    assert looked_at(NOTHING).recorded == [3]
    every = looked_at(Need(HeadChoice()))
    assert every.recorded == [0, 1, 2, 3, 4, 5]
    assert every.layer(3).x is None
    for layer in (3, 5):
        whole = looked_at(Need(HeadChoice([str(layer)]), whole=True))
        assert explain(
            whole, 3, whole.view().context.head_at(layer, 1), projections_of(whole, layer)
        )
    assert looked_at(EVERYTHING).layer(0).v is not None


@pytest.mark.usefixtures("long", "minilm")
def test_what_queries_were_made_of_is_had_by_running_it_again() -> None:
    sentences = Sentences(
        Source([ANIMAL]),
        ModelChoice(),
        Output(quiet=True),
        Notes(True),
        Need(HeadChoice()),
    )
    for _, inspection in sentences:
        assert inspection.layer(2).x is None
        whole = sentences.with_inputs(inspection, 2)
        assert whole.recorded == [2]
        assert whole.layer(2).x is not None
        assert sentences.with_inputs(whole, 2) is whole
