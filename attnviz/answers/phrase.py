"""Which words a user means by `it`, `the street#2` or `@10`: one, or several in a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnviz.answers.select import SENTENCE, Run, choose, folded, matching
from attnviz.errors import RequestError
from attnviz.text.tokens import Token


@dataclass(frozen=True)
class Phrase:
    """One token, or several that follow one another in a sentence."""

    tokens: Run

    @property
    def indices(self) -> list[int]:
        """Their rows and columns, ascending without a gap."""
        return [token.index for token in self.tokens]

    @property
    def text(self) -> str:
        """What was typed, one space where there was any white space; special tokens by name."""
        return _text_of(self.tokens)

    @property
    def special(self) -> bool:
        """Whether it is a special token."""
        return any(token.special for token in self.tokens)


@dataclass(frozen=True)
class FoundPhrase:
    """The phrase that a selector names, and how many it could have meant."""

    phrase: Phrase
    matches: int

    @property
    def run(self) -> Run:
        """The phrase's tokens."""
        return self.phrase.tokens

    def at(self, run: Run) -> "FoundPhrase":
        """The same with its tokens as they are counted elsewhere."""
        return replace(self, phrase=Phrase(run))


def find_phrase(tokens: Sequence[Token], selector: str, text: str = SENTENCE) -> FoundPhrase:
    """The tokens that `it`, `the street`, `the street#2` (its second occurrence) or `@10` names.

    A token of that name comes before several whose texts together are the same, as the pieces of a
    word are. Upper and lower case are alike, and so is all white space. Raises RequestError,
    listing the words there are.
    """
    found, matches = choose(
        tokens, selector, lambda word: matching(tokens, word) or list(_runs(tokens, word)), text
    )
    return FoundPhrase(Phrase(found), matches)


def check_apart(query: Phrase, key: Phrase) -> None:
    """Raise RequestError if a query and a key are the same word, or share one."""
    if query == key:
        raise RequestError(
            f'the query and the key are the same word, "{key.text}"',
            "name two words; a second occurrence is named as in it#2",
        )
    if set(query.indices) & set(key.indices):
        raise RequestError(
            f'the query "{query.text}" and the key "{key.text}" overlap',
            "name words that stand apart",
        )


def _runs(tokens: Sequence[Token], text: str) -> Iterator[Run]:
    """The runs of two tokens or more, in one sentence of a pair, that read like the text."""
    wanted = " ".join(folded(text).split())
    for first, token in enumerate(tokens):
        found: Run = ()
        for end in range(first + 2, len(tokens) + 1):
            last = tokens[end - 1]
            if token.special or last.special or last.segment != token.segment:
                break
            read = folded(_text_of(tokens[first:end]))
            if read == wanted:
                found = tuple(tokens[first:end])
            elif len(read) >= len(wanted):
                break
        if found:
            yield found


def _text_of(run: Sequence[Token]) -> str:
    """The run as it was typed; pieces of one letter, which share its place, count once."""
    text, reached = run[0].text, run[0].end
    for token in run[1:]:
        if token.start is None or token.end is None or reached is None:
            continue
        if token.start > reached:
            text += " "
        text += token.text[max(0, reached - token.start) : token.end - token.start]
        reached = max(reached, token.end)
    return " ".join(text.split())
