"""Which word of one sentence stands where which word of another stands?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple
from unicodedata import category

from attnviz.answers.select import find_in, matching
from attnviz.errors import RequestError
from attnviz.inspection import Context, View
from attnviz.inspection.context import Role
from attnviz.text.spans import folded
from attnviz.text.tokens import Token

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")


class Column(NamedTuple):
    """A word of A and the word of B in its place, None where there is none; `same`: case aside."""

    a: Token | None
    b: Token | None
    same: bool

    def token(self, side: Side) -> Token | None:
        """The word of A, or that of B."""
        return self.a if side == "a" else self.b

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The words there are, one or two."""
        return tuple(token for token in (self.a, self.b) if token is not None)

    @property
    def special(self) -> bool:
        """Whether special tokens stand here."""
        return any(token.special for token in self.tokens)

    @property
    def label(self) -> str:
        """The word as tables and pictures print it, or both, as in `tired→wide`."""
        labels = [token.label for token in self.tokens]
        return labels[0] if self.same else "→".join(labels)

    @property
    def cells(self) -> tuple[int | None, str | None, int | None, str | None]:
        """Index and text in A, and in B, for a table's row."""
        a, b = self.a, self.b
        of_a = (None, None) if a is None else (a.index, a.text)
        return (*of_a, *((None, None) if b is None else (b.index, b.text)))

    def data(self) -> dict[str, Any]:
        """The column's object in JSON."""
        a, text_a, b, text_b = self.cells
        return {"a": a, "b": b, "text_a": text_a, "text_b": text_b, "same": self.same}


@dataclass(frozen=True, eq=False)
class Alignment:
    """The words of A and B side by side; `keys` are `columns` unless of another text."""

    a: Context
    b: Context
    columns: tuple[Column, ...]
    keys: tuple[Column, ...]

    @property
    def identical(self) -> bool:
        """Whether A and B are one attention, of one text or the same two, in one model."""
        one, other = (
            ([(t.text, t.pair) for t in (side.text, side.key_text)], side.model, side.attention)
            for side in (self.a, self.b)
        )
        return one == other

    @property
    def same_input(self) -> bool:
        """Whether the model reads A and B as one: one model, the same ids and token types."""
        return _input(self.a) == _input(self.b)

    @property
    def read_alike(self) -> list[tuple[Token, Token]]:
        """Words that differ as typed, and that one model reads as the same pieces."""
        if self.a.model != self.b.model:
            return []
        both = dict.fromkeys((*self.columns, *self.keys))
        pairs = [(a, b) for a, b, _ in both if a is not None and b is not None]
        return [(a, b) for a, b in pairs if a.text != b.text and a.pieces == b.pieces]

    @property
    def words(self) -> list[int]:
        """The columns of the words that look in both sentences, special tokens aside."""
        both = [i for i, column in enumerate(self.columns) if len(column.tokens) == 2]
        return [i for i in both if not self.columns[i].special]

    def context(self, side: Side) -> Context:
        """What A, or B, is about."""
        return self.a if side == "a" else self.b

    def of(self, role: Role) -> tuple[Column, ...]:
        """The words that look, or those that are looked at."""
        return self.columns if role == "query" else self.keys

    def places(self, side: Side, role: Role = "key") -> list[int]:
        """The column in which each token of one side stands, among those of its role."""
        return [i for i, column in enumerate(self.of(role)) if column.token(side) is not None]

    def pair(self, column: int, role: Role = "query") -> tuple[Token, Token]:
        """The two words in a column; RequestError where one sentence has none."""
        a, b, _ = self.of(role)[column]
        if a is None or b is None:
            raise RequestError(
                f"sentence {'A' if a is None else 'B'} has nothing in the place of column {column}",
                "choose a word that stands in both sentences",
            )
        return a, b

    def find(self, selector: str, role: Role = "query") -> tuple[int, int]:
        """The column that a selector names (the first), and how many it may; RequestError.

        A word of one sentence alone, such as the one that differs, means the column in which it
        stands.
        """
        in_a, in_b = (self._matches(side, role, selector) for side in SIDES)
        if isinstance(in_a, RequestError) and isinstance(in_b, RequestError):
            if (in_a.message, in_a.hint) == (in_b.message, in_b.hint):
                raise in_a
            text = "sentence"
            if self.a.is_cross_attention:
                text = "target" if role == "query" else "source"
            raise RequestError(f'"{selector}" is in neither {text}', f"A: {in_a.hint}")
        found = [
            i
            for i, (a, b, _) in enumerate(self.of(role))
            if a is not None
            and b is not None
            and (isinstance(in_a, RequestError) or a.index in in_a)
            and (isinstance(in_b, RequestError) or b.index in in_b)
        ]
        for side, error in (("A", in_a), ("B", in_b)):
            if not found and isinstance(error, RequestError):
                raise RequestError(f"sentence {side}: {error.message}", error.hint)
        if not found:
            raise RequestError(
                f"{selector} in A and {selector} in B do not stand in each other's place",
                "choose another word, or sentences that differ less",
            )
        return found[0], len(found)

    def _matches(self, side: Side, role: Role, selector: str) -> set[int] | RequestError:
        """The indices of the tokens that a selector may mean in one sentence, or why none."""
        context = self.context(side)
        try:
            found = find_in(context, role, selector)
        except RequestError as error:
            return error
        if found.matches == 1:
            return {found.token.index}
        tokens = context.tokens if role == "query" else context.keys
        return {token.index for (token,) in matching(tokens, selector)}


@dataclass(frozen=True, eq=False)
class Aligned(Alignment):
    """Two views of the same unit and measure, word by word; made by `aligned`."""

    views: tuple[View, View]

    @property
    def alignment(self) -> Alignment:
        """The words alone, without the views."""
        return Alignment(self.a, self.b, self.columns, self.keys)


def aligned(a: View, b: View) -> Aligned:
    """Align the words of A and B; in cross-attention, queries and keys each for themselves.

    RequestError where models differ in layers or heads, only one of the two is cross-attention, A
    and B have no word in common, or two models cut one sentence into different pieces.
    """
    of_a, of_b = a.context, b.context
    _check_shapes(of_a, of_b)
    if of_a.is_cross_attention != of_b.is_cross_attention:
        raise RequestError(
            f"sentence {'A' if of_a.is_cross_attention else 'B'} looks at another text, and "
            f"{'B' if of_a.is_cross_attention else 'A'} at itself",
            "compare two of one kind, with the same --attention",
        )
    columns = _aligned(of_a, of_b, "query")
    keys = _aligned(of_a, of_b, "key") if of_a.is_cross_attention else columns
    return Aligned(of_a, of_b, columns, keys, (a, b))


def _aligned(a: Context, b: Context, role: Role) -> tuple[Column, ...]:
    """The words of one role."""
    texts = [side.text if role == "query" else side.key_text for side in (a, b)]
    same_text = texts[0].text == texts[1].text
    if a.unit == "piece" and same_text and texts[0].vocabulary != texts[1].vocabulary:
        raise RequestError(
            "the two models cut the sentence into different pieces",
            "compare words, without --pieces",
        )
    mine, theirs = (side.tokens if role == "query" else side.keys for side in (a, b))
    if _input(a) == _input(b) and [t.pieces for t in mine] == [t.pieces for t in theirs]:
        # unknown words may have changed places, which the model does not see
        pairs = zip(mine, theirs, strict=True)
        columns = tuple(Column(one, other, _key(one) == _key(other)) for one, other in pairs)
    else:
        columns = align(mine, theirs)
    words = [column.label for column in columns if column.same and not column.special]
    if not any(category(letter)[0] not in "PZ" for letter in "".join(words)):
        what = (
            ("targets" if role == "query" else "sources") if a.is_cross_attention else "sentences"
        )
        raise RequestError(
            f"the two {what} have no word in common",
            "compare sentences that differ in a word or two",
        )
    return columns


def _input(context: Context) -> tuple[object, ...]:
    """What the model is given, and which model it is."""
    given = [(tokens.ids, tokens.type_ids) for tokens in (context.text, context.key_text)]
    return given, context.model, context.attention


def align(a: Sequence[Token], b: Sequence[Token]) -> tuple[Column, ...]:
    """The tokens of both, each once, in order; equal words are found by difflib's SequenceMatcher.

    A run of words replaced by as many pairs with them one by one; all others stand alone, as do
    special tokens beside words, and words of different sentences of a pair.
    """
    keys_a, keys_b = [_key(token) for token in a], [_key(token) for token in b]
    columns: list[Column] = []
    matcher = SequenceMatcher(None, keys_a, keys_b, autojunk=False)
    for _, first_a, last_a, first_b, last_b in matcher.get_opcodes():
        columns += _laid_beside(a[first_a:last_a], b[first_b:last_b])
    return tuple(columns)


def _key(token: Token) -> tuple[bool, int, str]:
    return token.special, token.segment, folded(token.label)


def _laid_beside(a: Sequence[Token], b: Sequence[Token]) -> Iterator[Column]:
    """The columns of a run of A and the run of B in its place."""
    if len(a) != len(b):
        yield from (Column(token, None, False) for token in a)
        yield from (Column(None, token, False) for token in b)
        return
    for one, other in zip(a, b, strict=True):
        if _key(one)[:2] == _key(other)[:2]:
            yield Column(one, other, _key(one) == _key(other))
        else:
            yield Column(one, None, False)
            yield Column(None, other, False)


def _check_shapes(a: Context, b: Context) -> None:
    shapes = [(side.model.num_layers, side.num_heads) for side in (a, b)]
    if shapes[0] != shapes[1]:
        sizes = [
            f"{side.model.name} has {side.model.num_layers} layers of {side.model.num_heads} heads"
            for side in (a, b)
        ]
        raise RequestError(
            f"the layers and heads of the models do not match: {sizes[0]}, {sizes[1]}",
            "compare models of one shape, such as a model before and after fine-tuning",
        )
