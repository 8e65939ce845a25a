"""Where words begin and end: the default word boundaries of the Unicode standard (UAX #29, 4.1).

The segments come from `unicode-segmentation-rs`, which passes the standard's own test. The `regex`
package's `(?w)` does not: it leaves the opening quotation mark on 'apple', so that the word could
not be found.
"""

from itertools import accumulate, pairwise

import unicode_segmentation_rs

Span = tuple[int, int]


def segments(text: str) -> list[Span]:
    """The text cut at every word boundary: words, punctuation and white space, without gaps."""
    parts = unicode_segmentation_rs.split_word_bounds(text)
    return list(pairwise(accumulate(map(len, parts), initial=0)))


def word_spans(text: str) -> list[Span]:
    """The words and punctuation marks of a text, in order; white space is left out."""
    spans = [_stripped(text, start, end) for start, end in segments(text)]
    return [span for span in spans if span[0] < span[1]]


def _stripped(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends (a joiner can bind a space to what follows)."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
