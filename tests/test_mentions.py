"""The brackets of `Entity=`: nested, broken into parts, at words that no model reads; and bad."""

from hypothesis import given
from hypothesis import strategies as st

from attnviz.corpus.mentions import Brackets, head_of

GUM = ("GRP", "etype", "infstat", "minspan", "link", "identity")


def read(*values: str, fields: tuple[str, ...] = GUM) -> Brackets:
    """The brackets at words 0, 1, 2 …, on lines 1, 2, 3 …; `_` where a word has none."""
    brackets = Brackets(fields)
    for place, value in enumerate(values):
        if value != "_":
            brackets.read(value, place + 1, place, place)
    brackets.end()
    return brackets


def mentions(brackets: Brackets) -> list[tuple[str, tuple[int, ...]]]:
    return [(mention.entity, mention.words) for mention in brackets.found]


def test_mentions_lie_in_one_another_and_begin_and_end_together() -> None:
    found = read("(1-person-new-2-sgl(2-place-new-1-coref", "2)", "_", "(3-time-new-1)1)", "(2-x)")
    assert mentions(found) == [("2", (0, 1)), ("3", (3,)), ("1", (0, 1, 2, 3)), ("2", (4,))]
    assert not found.problems
    assert found.found[0].values == {
        "GRP": "2", "etype": "place", "infstat": "new", "minspan": "1", "link": "coref",
    }  # fmt: skip


def test_a_mention_of_an_entity_lies_in_another_of_the_same() -> None:
    assert mentions(read("(1-a", "(1-a", "1)", "1)")) == [("1", (1, 2)), ("1", (0, 1, 2, 3))]


def test_a_mention_may_be_broken_into_parts() -> None:
    found = read(
        "(e1[1/2]-person", "e1[1/2])", "(e2-x)", "(e1[2/2]-person)", fields=("eid", "etype")
    )
    assert mentions(found) == [("e2", (2,)), ("e1", (0, 1, 3))]
    assert not found.problems


def test_the_entity_may_stand_in_any_field_and_older_files_close_with_more() -> None:
    found = read("(person-1-new", "person-1)", fields=("entity", "GRP", "infstat"))
    assert mentions(found) == [("1", (0, 1))]
    assert not found.problems
    assert mentions(read("(e7", "e7)", fields=("eid",))) == [("e7", (0, 1))]


def test_empty_nodes_are_no_words() -> None:
    brackets = Brackets()
    brackets.read("(e1-x", 1, 0, -1)  # an empty node before word 0
    brackets.read("e1)", 2, 0, 0)
    brackets.read("(e2-x)", 3, 1, 0)  # one between the words 0 and 1, which is all of its mention
    brackets.end()
    assert mentions(brackets) == [("e1", (0,))]
    assert not brackets.problems


def test_what_is_wrong_is_told_with_its_line_and_the_rest_is_read() -> None:
    found = read("(1-x", "2)", "lost", "(-x)", "()", "(3[2/2]-x", "(4[1/2]-x)", "(5-x)")
    assert mentions(found) == [("5", (7,))]
    assert found.problems == [
        (2, "a mention of 2 is closed, and none is open"),
        (3, '"lost" in Entity=lost is no mention'),
        (4, "the mention (-x does not say of which entity it is"),
        (5, '"(" in Entity=() is no mention'),
        (5, '")" in Entity=() is no mention'),
        (6, "part 2 of 2 of 3 comes without part 1"),
        (1, "a mention of 1 is opened and never closed"),
        (7, "part 1 of 2 of 4 has none after it"),
    ]


def test_the_head_is_named_or_has_its_governor_outside() -> None:
    governors = [2, 2, 5, 4, 2, -1]  # "the old man in grey ." of which "man" hangs on the last
    assert head_of((0, 1, 2, 3, 4), {}, governors) == 2
    assert head_of((0, 1, 2, 3, 4), {"head": "5"}, governors) == 4
    assert head_of((0, 1, 2), {"head": "7"}, governors) == 2
    assert head_of((5,), {}, governors) == 5
    unknown = [None] * 6
    assert head_of((1, 2, 3), {"minspan": "2,3"}, unknown) == 2
    assert head_of((1, 2, 3), {"minspan": "_"}, unknown) == 3


SPANS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 3)).map(
        lambda drawn: (drawn[0], min(9, drawn[0] + drawn[1]), str(drawn[2]))
    ),
    max_size=8,
    unique=True,
)
"""Mentions over ten words: their first and last word, and their entity."""


@given(SPANS)
def test_what_is_written_is_read(spans: list[tuple[int, int, str]]) -> None:
    """Mentions overlap in any way; but of two of one entity, one lies in the other."""
    kept: list[tuple[int, int, str]] = []
    for a, b, entity in sorted(spans, key=lambda span: span[0] - span[1]):
        own = [(c, d) for c, d, other in kept if other == entity]
        if not any(c < a <= d < b or a < c <= b < d for c, d in own):
            kept.append((a, b, entity))
    values = []
    for word in range(10):
        closed = [(a, b, e) for a, b, e in kept if a < b == word]
        text = "".join(f"{e})" for _, _, e in sorted(closed, key=lambda one: -one[0]))
        opened = [(a, b, e) for a, b, e in kept if a == word < b]
        text += "".join(f"({e}-x" for _, _, e in sorted(opened, key=lambda one: -one[1]))
        text += "".join(f"({e}-x)" for a, b, e in kept if a == b == word)
        values.append(text or "_")
    found = read(*values)
    assert not found.problems
    assert sorted(mentions(found)) == sorted((e, tuple(range(a, b + 1))) for a, b, e in kept)


@given(st.text("(e1)[/]2-x_", max_size=30))
def test_anything_is_read_or_told(text: str) -> None:
    found = read(text, text, fields=("eid", "etype"))
    for mention in found.found:
        assert mention.words
        assert set(mention.words) <= {0, 1}
