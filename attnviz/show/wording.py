"""Sentences that tables, pictures and notes share: whose attention, windows, unknown words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category

from attnviz.attention.request import AttentionKind
from attnviz.errors import listed
from attnviz.inspection import Context, HeadId
from attnviz.inspection.context import ALL, Reach, Role, counted
from attnviz.show.forms import STYLE
from attnviz.show.labels import BLANK, UNKNOWN, visible
from attnviz.text.spans import is_punctuation
from attnviz.text.tokens import Token, Tokens, Unit

if TYPE_CHECKING:
    from attnviz.answers.align import Alignment
    from attnviz.answers.predict import Prediction
    from attnviz.answers.survey_comparison import SurveyComparison
    from attnviz.inspection.predicted import Guess, HeadFacts, HeadKind

MAY_NOT = "may not look there"  # What a table's blank cells mean, and a picture's grey ones
# without it, the rows of cross-attention seem to be one word late
PURPOSE = "what a word of the target looks at helps to choose the word after it"
WORDS_NAMED = 5  # How many unknown words a line names; more are counted
LAYERS_NAMED = 6  # How many layers a line names; more are counted
HEADS_NAMED = 4  # Single heads that a title or a file name lists


class Said(NamedTuple):
    """A text that is shown; `name` is empty where there is only one kind of text."""

    name: str
    role: Role
    segment: int
    text: str
    span: tuple[int, int] | None  # the characters in the window, if there is one


def role_name(context: Context, role: Role) -> str:
    """`queries` or `keys`; where these are of two texts, `queries (target)`, `keys (source)`."""
    plural = "queries" if role == "query" else "keys"
    if not context.is_cross_attention:
        return plural
    return f"{plural} ({'target' if role == 'query' else 'source'})"


def tokens_of(context: Context, role: Role) -> tuple[Token, ...]:
    """The tokens that look, or those that are looked at."""
    return context.tokens if role == "query" else context.keys


def are_all(context: Context, heads: Sequence[HeadId]) -> bool:
    """Whether these are all heads of the model, or all layers, recorded or not."""
    return len(set(heads)) == context.model.num_layers * context.num_heads


def heads_title(context: Context, heads: Sequence[HeadId]) -> str:
    """`L3H1`, `layer 3`, `all heads`, a few heads by name, or how many they are; or layers."""
    layers = {head.layer for head in heads}
    if len(heads) == 1:
        (layer, head), count = heads[0], STYLE.get().from_one
        place = f"layer {layer + 1}" + ("" if head is None else f", head {head + 1}")
        return f"{place} (counted from 1)" if count else str(heads[0])
    if are_all(context, heads):
        return f"all {context.places}"
    if len(layers) == 1 and len(set(heads)) == context.num_heads:
        return f"layer {heads[0].layer}"
    if len(heads) <= HEADS_NAMED:
        return ", ".join(map(str, heads))
    return f"{len(heads)} {context.places}"


def texts(context: Context) -> Iterator[Said]:
    """Every text that tokens come from; the source first, where there is one."""
    own: list[tuple[Role, Tokens]] = [("query", context.text)]
    if context.source is not None:
        own.insert(0, ("key", context.source))
    for role, tokens in own:
        for segment, text in enumerate((tokens.text, tokens.pair)):
            if text is not None:
                name = role_name(context, role) if context.is_cross_attention else ""
                span = _span(context, segment) if role == "query" else None
                yield Said(name, role, segment, text, span)


def _span(context: Context, segment: int) -> tuple[int, int] | None:
    if context.window is None:
        return None
    own = [token for token in context.tokens if token.segment == segment]
    starts = [token.start for token in own if token.start is not None]
    ends = [token.end for token in own if token.end is not None]
    return (min(starts), max(ends)) if starts and ends else (0, 0)


def window_told(context: Context, inside: float | None = None, whose: str = "their") -> str:
    """Which tokens the window holds, and the share of `whose` attention that stays `inside` it."""
    told = [part_told(context)]
    if context.window is not None:
        count = len(context.text.unit(context.unit))
        first, last = context.window[0], min(context.window[1], count) - 1
        tokens = f"tokens {first} to {last}" if last > first else f"token {first}"
        told.append(f"{tokens} of {count}")
        if inside is not None and not context.is_cross_attention and context.measured.shares:
            told.append(f"{inside:.0%} of {whose} {context.measured.noun} lies in the window")
    return "; ".join(filter(None, told))


def part_told(context: Context) -> str:
    """Which window of a longer text this is, where one was cut into windows."""
    part = context.part
    return f"{part}: pieces {part.start} to {part.end - 1} of the text" if part else ""


def unknown_legend(context: Context) -> str:
    """What the mark of unknown words means, and how many there are; nothing if there are none."""
    count, _, _ = _unknown(context)
    name = visible(context.model.name)
    return f"{UNKNOWN} before a {context.unit}: unknown to {name} ({count})" if count else ""


def unknown_told(context: Context) -> str:
    """How many words, or pieces, the model reads as its unknown token, and which; or nothing."""
    count, verb, unknown = _unknown(context)
    return f"{count} {verb} unknown to {context.model.name}: {_listed(unknown)}" if count else ""


def _unknown(context: Context) -> tuple[str, str, list[str]]:
    """How many of all words are unknown, `is` or `are`, and which; nothing counted if none are."""
    texts = [context.text] if context.source is None else [context.source, context.text]
    every = [token for text in texts for token in text.unit(context.unit) if not token.special]
    unknown = [token for token in every if token.unknown]
    if not unknown:
        return "", "", []
    count = len(every)
    if context.unit == "word":  # punctuation marks are tokens, and nobody calls them words
        count -= sum(not token.unknown and is_punctuation(token.text) for token in every)
    told = f"{len(unknown)} of {counted(count, context.unit)}"
    return told, "is" if len(unknown) == 1 else "are", [token.text for token in unknown]


def lost_told(context: Context) -> str:
    """Which typed words the tokenizer left no piece of; or nothing."""
    texts = [context.text] if context.source is None else [context.source, context.text]
    lost = [_nameable(word) for text in texts for word in text.lost]
    if not lost:
        return ""
    verb, them = ("was", "it") if len(lost) == 1 else ("were", "them")
    return (
        f"{counted(len(lost), 'word')} {verb} dropped by the tokenizer of {context.model.name}, "
        f"so that the model never sees {them}: {_listed(lost)}"
    )


def alike_told(words: "Alignment") -> str:
    """Which words differ and are one to the model, or that it reads both sentences as one."""
    name, alike = words.a.model.name, words.read_alike
    if words.identical or not (alike or words.same_input):
        return ""
    pairs = [f"{a.text} and {b.text}" for a, b in alike]
    unknown = bool(alike) and all(a.unknown for a, _ in alike)
    all_are = f"{'are both' if len(pairs) == 1 else 'are all'} unknown to {name}"
    if not words.same_input:
        why = f"{all_are}, which" if unknown else f"are the same to {name}, which"
        return f"{_listed(pairs)} {why} reads {'them' if len(pairs) == 1 else 'each two'} alike"
    as_one = "the model reads the two sentences as one"
    if unknown:
        return f"the words that differ, {_listed(pairs)}, {all_are}: {as_one}"
    if alike:
        return f"the words that differ, {_listed(pairs)}, are the same to {name}: {as_one}"
    return f"what differs never reaches {name}: {as_one}"


def _listed(words: Sequence[str]) -> str:
    """The words, each once, and how often; of many the first, and how many more there are."""
    each = [f"{word} ({n} times)" if n > 1 else word for word, n in Counter(words).items()]
    return listed(each, WORDS_NAMED)


def _nameable(word: str) -> str:
    """A word as a line can name it: by its code points if nothing of it would be seen."""
    seen = any(category(letter)[0] not in "CMZ" for letter in word)
    return word if seen else " ".join(f"U+{ord(letter):04X}" for letter in word)


def whose(context: Context, layers: Sequence[int] = ()) -> str:
    """Whose attention it is, and who may look where; empty where all of an encoder see all."""
    attention, unit = context.attention, context.unit
    if context.is_cross_attention:
        return attention_told("cross", unit)
    reaches = _by_reach(context, layers)
    if len(reaches) > 1:
        told = "; ".join(f"in {_named(n)} {_sees(reach, unit)}" for reach, n in reaches.items())
        return f"{attention}: {told}"
    [reach] = reaches
    if attention == "encoder" and reach in (None, ALL):
        return ""
    if reach is None:
        return f"the {attention}'s own attention"
    return f"{attention}: {_sees(reach, unit)}"


def attention_told(attention: AttentionKind, unit: Unit = "word") -> str:
    """Whose attention it is, whoever may look where; empty of an encoder's own."""
    if attention == "cross":
        return f"cross-attention: the decoder's {unit}s look at the encoder's"
    return "" if attention == "encoder" else f"the {attention}'s own attention"


def attention_of_both(answer: "SurveyComparison") -> list[str]:
    """Whose attention of two models it is; nothing of two encoders."""
    a, b = answer.attention, answer.attention_b
    if a == b:
        return list(filter(None, [attention_told(a)]))
    told = (attention_told(one) or "the encoder's own attention" for one in (a, b))
    return [f"{side} · {one}" for side, one in zip("AB", told, strict=True)]


def whose_in_korean(context: Context) -> str:
    """`whose` of words in all recorded layers, in Korean."""
    if context.is_cross_attention:
        return "교차 어텐션: 디코더의 단어가 인코더의 단어에 주목"
    if not whose(context):
        return ""
    reaches = _by_reach(context)
    attention = {"encoder": "인코더", "decoder": "디코더"}[context.attention]
    if list(reaches) == [None]:
        return f"{attention}의 셀프 어텐션"
    told = [
        f"{_named_in_korean(numbers)}에서는 " * (len(reaches) > 1) + _sees_in_korean(reach)
        for reach, numbers in reaches.items()
    ]
    return f"{attention}: {'; '.join(told)}"


def _by_reach(context: Context, layers: Sequence[int] = ()) -> "dict[Reach | None, list[int]]":
    """The layers in which a query sees as far; all that were recorded, if none are given."""
    reaches: dict[Reach | None, list[int]] = {}
    for number in sorted(set(layers)) or context.recorded:
        reaches.setdefault(context.reaches[number], []).append(number)
    return reaches


def _sees_in_korean(reach: Reach | None) -> str:
    if reach is None:
        return "단어마다 일부만 봄"
    if reach == ALL:
        return "단어마다 모두 봄"
    if reach == (0, 0):
        return "단어마다 자신만 봄"
    if reach.before == reach.after:
        return f"단어마다 자신과 앞뒤의 조각을 {reach.before}개씩 봄"
    sides = [
        f"{where} 단어" if number is None else f"{where} 조각 {number}개"
        for number, where in ((reach.before, "그 앞의"), (reach.after, "그 뒤의"))
        if number != 0
    ]
    return f"단어마다 자신과 {'와 '.join(sides)}를 봄"


def _named_in_korean(layers: Sequence[int]) -> str:
    return f"{len(layers)}개 층" if len(layers) > LAYERS_NAMED else _named(layers)


def _sees(reach: Reach | None, unit: Unit) -> str:
    if reach is None:
        return f"each {unit} sees some"
    if reach == ALL:
        return f"each {unit} sees all"
    if reach == (0, 0):
        return f"each {unit} sees itself alone"
    if reach.before == reach.after:
        return f"each {unit} sees itself and {_pieces(reach.before)} on each side"
    sides = (_beside(reach.before, "before"), _beside(reach.after, "after"))
    return f"each {unit} sees {' and '.join(filter(None, ('itself', *sides)))}"


def _beside(number: int | None, where: str) -> str:
    if number is None:
        return f"those {where} it"
    return f"the {_pieces(number)} {where} it".replace("the 1 ", "the ") if number else ""


def _pieces(number: int | None) -> str:
    return counted(number or 0, "piece")


def _named(layers: Sequence[int]) -> str:
    if len(layers) > LAYERS_NAMED:
        return f"{len(layers)} layers"
    return ", ".join(f"L{number}" for number in layers)


GUESSES_SHOWN = 5  # at a mask, or of a text, unless the user says how many
BY_TOKEN = ("token-classification", "seq2seq-lm")  # heads that say something of each token
MODEL_IS_SURE = "A probability says how sure the model is, not how often it is right."
BY_ITSELF = "The model fills each mask by itself: words at two masks need not fit together."
SAID: "dict[HeadKind, str]" = {
    "masked-lm": "what stands at each mask",
    "causal-lm": "what comes next",
    "seq2seq-lm": "what it writes, the likeliest piece each time",
    "sequence-classification": "what it calls the text",
    "token-classification": "what it calls each {unit}",
    "question-answering": "where the second text answers the first",
    "similarity": "how similar the two texts are to it",
}
"""What a model says, by the kind of its head."""

GIVES: "dict[HeadKind, str]" = {
    "masked-lm": "words at each mask",
    "causal-lm": "the next token",
    "seq2seq-lm": "the text that it writes",
    "sequence-classification": "labels of the text",
    "token-classification": "labels of each word",
    "question-answering": "answers in a second text",
    "similarity": "how similar two texts are",
}
"""What the head of a model gives."""


def head_told(head: "HeadFacts | None") -> str:
    """Which head a model has, and what it gives; the first of its labels."""
    if head is None:
        return "none that attnviz can ask"
    labels = listed(head.labels, WORDS_NAMED)
    told = f"{GIVES[head.kind]}: {labels}" if labels else GIVES[head.kind]
    return f"{told} ({head.pooling or head.architecture or 'masked-LM head'}); see attnviz predict"


def said_by(answer: "Prediction") -> tuple[str, str]:
    """What the model says, as a title, and how its numbers came about."""
    head = answer.facts
    what = SAID[head.kind].format(unit=answer.context.unit)
    if head.kind == "question-answering":
        how = "probability: softmax of a score for each start, times that for each end"
    elif head.kind == "similarity":
        return what, f"cosine of their vectors; pooling: {visible(head.pooling or '')}"
    elif head.function is None:
        how = "score: a number of its own, no probability"
    elif head.function == "sigmoid":
        how = "probability: sigmoid of each score by itself"
    else:
        how = "probability: softmax of the scores"
    return what, f"{how}; {visible(head.architecture)}" if head.architecture else how


def guess_name(guess: "Guess") -> str:
    """A guess as it is shown; a blank before a word is drawn, as the word begins there."""
    text = f"{BLANK}{guess.text[1:]}" if guess.text.startswith(" ") else guess.text
    return visible(text) or '""'


def guess_number(guess: "Guess") -> str:
    """A guess's probability, or a score that is none."""
    if guess.probability is None:
        return f"{guess.score:.4f}"
    percent = 100 * guess.probability
    if percent >= 0.1 or percent == 0:
        return f"{percent:.1f}%"
    return f"{percent:.2g}%" if percent >= 0.0001 else "<0.0001%"


def change_told(change: float) -> str:
    """How much a cosine changes, with the sign, which 0 has not."""
    told = f"{change:+.4f}".replace("-", "−")
    return told if told.strip("+−0.") else told[1:]


def what_guesses_say(answer: "Prediction") -> tuple[str, ...]:
    """What guesses do not promise: to be right, and of several masks, to fit together."""
    several = answer.facts.kind == "masked-lm" and len(answer.said) > 1
    sure = answer.facts.function is not None
    return (*[BY_ITSELF] * several, *[MODEL_IS_SURE] * sure)


def more_guesses(answer: "Prediction", shown: int) -> str:
    """How many labels a table leaves out, and how to see them."""
    most = max((len(one.guesses) for one in answer.said), default=0)
    of_each = answer.facts.kind == "token-classification"
    hidden = most - shown
    if not answer.facts.labels or hidden <= 0:
        return ""
    return f"{counted(hidden, 'more label')}{' of each' * of_each}: --top {most} shows all."


def read_in_both(answer: "SurveyComparison") -> str:
    """How much of a corpus two models read, and what either could not."""
    a, b = answer.corpus, answer.corpus_b
    told = f"{counted(a.documents, 'document')}, {counted(a.words, 'word')}, in both models"
    if not a.left_out and not b.left_out:
        return told
    return f"{told}; left out: {a.left_out} in A, {b.left_out} in B"
