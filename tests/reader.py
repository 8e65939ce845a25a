"""What a reader sees of a table: everything, but for a step in a number's last digit.

A number between two roundings, as .675, is .67 on one processor and .68 on another. So a
number may be a step of its last digit off, a dot may stand for .01, a bar may be an eighth longer,
and a small column a step higher; all else, down to the spaces, is the same.
"""

import re
from itertools import zip_longest

COLUMNS = "▁▂▃▄▅▆▇"
EIGHTHS = "▏▎▍▌▋▊▉█"

_PARTS = re.compile(
    rf"(?P<number>\d*\.\d+|\d+(?=%)|·)|(?P<bar>[{EIGHTHS}]+)|(?P<columns>[{COLUMNS}]+)"
)


def alike(shown: str, expected: str) -> bool:
    """Whether a reader could not tell that another processor computed the numbers."""
    if shown == expected:
        return True
    ours, theirs = shown.split("\n"), expected.split("\n")
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def difference(shown: str, expected: str) -> str:
    """The lines that differ, for the message of an assertion; nothing where they are alike."""
    pairs = zip_longest(expected.split("\n"), shown.split("\n"))
    differ = [(one, two) for one, two in pairs if None in (one, two) or not alike(two, one)]
    return "\n".join(f"- {one}\n+ {two}" for one, two in differ)


def _same_line(shown: str, expected: str) -> bool:
    ours, theirs = _split(shown), _split(expected)
    if len(ours) != len(theirs):
        return False
    last_moved = False
    for place in range(0, len(ours), 2):
        moved = place + 1 < len(ours) and len(ours[place + 1]) != len(theirs[place + 1])
        one, two = ours[place], theirs[place]
        # beside a part that is longer or shorter than the other's, spaces make up for it
        if last_moved:
            one, two = one.lstrip(" "), two.lstrip(" ")
        if moved:
            one, two = one.rstrip(" "), two.rstrip(" ")
        if one != two:
            return False
        last_moved = moved
    return all(map(_near, ours[1::2], theirs[1::2]))


def _split(line: str) -> list[str]:
    """Text, a part that shows a number, text, and so on; it begins and ends with text."""
    parts, end = [], 0
    for match in _PARTS.finditer(line):
        parts += [line[end : match.start()], match[0]]
        end = match.end()
    return [*parts, line[end:]]


def _near(shown: str, expected: str) -> bool:
    if shown == expected:
        return True
    if shown[0] in EIGHTHS and expected[0] in EIGHTHS:
        return abs(_eighths(shown) - _eighths(expected)) <= 1
    if shown[0] in COLUMNS and expected[0] in COLUMNS:
        steps = zip_longest(shown, expected, fillvalue=" ")
        return all(one != " " != two and abs(ord(one) - ord(two)) <= 1 for one, two in steps)
    if shown[0] in EIGHTHS + COLUMNS or expected[0] in EIGHTHS + COLUMNS:
        return False
    (one, step), (two, other) = _number(shown), _number(expected)
    return abs(one - two) <= 1.001 * max(step, other)


def _eighths(bar: str) -> int:
    return sum(EIGHTHS.index(block) + 1 for block in bar)


def _number(text: str) -> tuple[float, float]:
    """A number, and the step of its last digit; a dot stands for less than .005."""
    if text == "·":
        return 0.0, 0.01
    return float(text), 10.0 ** -len(text.partition(".")[2])
