from dataclasses import replace

import pytest
from pictures import numbered

from attnviz.inspection import HeadId, Inspection
from attnviz.show.figure.captions import fitted, label, labels_for, token_labels
from attnviz.show.figure.drawing import INK, drawing, text_width
from attnviz.show.terminal.heading import dropped_note
from attnviz.show.wording import heads_title


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it", "it"),
        ("a" * 22, "a" * 22),
        ("a" * 23, "a" * 21 + "…"),
        ("동" * 11, "동" * 11),
        ("동" * 12, "동" * 10 + "…"),
        ("a\x00\n", r"a\x00\x0a"),
        ("e\u0301" * 30, "e\u0301" * 21 + "…"),
    ],
)
def test_labels(text: str, shown: str) -> None:
    assert label(text) == shown


def test_a_cut_label_never_splits_a_joined_emoji() -> None:
    family = "👩\u200d👩\u200d👧"
    cut = label(family * 12)
    assert cut == family * cut.count(family) + "…"
    assert cut.count(family) == 10


def test_a_sentence_is_cut_to_the_width_there_is() -> None:
    with drawing():
        assert fitted("short", 2, 10) == "short"
        cut = fitted("The animal didn't cross the street " * 200, 2, 10)
        assert cut.endswith("…")
        assert 1.8 < text_width(cut, 10) <= 2
        assert fitted("i" * 10_000, 1, 10).startswith("iiii")


@pytest.mark.parametrize(
    ("room", "size", "step", "slanted"),
    [(0.5, 10.0, 1, True), (0.15, 8.31, 1, False), (0.05, 6.0, 3, False), (0.02, 6.0, 6, False)],
)
def test_labels_shrink_to_a_floor_and_then_become_fewer(
    room: float, size: float, step: int, slanted: bool
) -> None:
    with drawing():
        labels = token_labels(numbered(40).view().context, room)
    assert labels.size == pytest.approx(size, abs=0.01)
    assert (labels.step, labels.slanted) == (step, slanted)
    assert labels.places == tuple(range(0, 42, step))
    assert len(labels.texts) == len(labels.places)
    assert (labels.note == "") == (step == 1)


def test_which_token_is_labelled_is_said_in_english() -> None:
    with drawing():
        rooms = {step: 0.10834 / step for step in (2, 3, 4, 11, 21)}
        notes = {step: labels_for(["a"], [INK], room).note for step, room in rooms.items()}
    assert [note.split()[1] for note in notes.values()] == ["2nd", "3rd", "4th", "11th", "21st"]


def test_heads_are_named_as_shortly_as_they_can(animal: Inspection) -> None:
    view = animal.view()
    layer = [HeadId(3, head) for head in range(12)]
    assert heads_title(view.context, [HeadId(3, 1)]) == "L3H1"
    assert heads_title(view.context, layer) == "layer 3"
    assert heads_title(view.context, view.all_heads()) == "all heads"
    assert heads_title(view.context, layer[:3]) == "L3H0, L3H1, L3H2"
    assert heads_title(view.context, layer[:5]) == "5 heads"


def test_all_heads_of_some_layers_are_not_all_heads(animal: Inspection) -> None:
    layers = (animal.layer(0), None, None, animal.layer(3), None, None)
    view = replace(animal, layers=layers).view()
    assert heads_title(view.context, view.all_heads()) == "24 heads"
    assert "(mean over these heads)" in dropped_note(view.context, 0.25, view.all_heads())
    assert "(mean over all heads)" in dropped_note(
        animal.view().context, 0.25, animal.view().all_heads()
    )
    alone = replace(animal, layers=(None, *layers[1:])).view()
    assert heads_title(alone.context, alone.all_heads()) == "layer 3"
