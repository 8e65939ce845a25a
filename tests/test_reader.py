"""The reader of tests/reader.py overlooks a last digit, and nothing else."""

import pytest
from reader import alike, difference


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("▸animal .68  street .05", "▸animal .68  street .05"),
        ("▸animal .68  street .05", "▸animal .67  street .06"),
        ("L0H3   ·   it", "L0H3  .01 it"),
        ("it 1.0 L0H1 .5", "it .99 L0H1 .5"),
        ("share 20%: so far", "share 19%: so far"),
        ("share 10%: so far", "share  9%: so far"),
        ("21.69  3.83 .68 ████▍    │", "21.70  3.82 .68 ████▎    │"),
        ("████  .3", "████▏ .3"),
        ("▄▅▆ 0 to 7.86", "▅▅▇ 0 to 7.85"),
    ],
)
def test_a_step_of_the_last_digit_is_overlooked(shown: str, expected: str) -> None:
    assert alike(shown, expected)
    assert alike(expected, shown)
    assert difference(f"a\n{shown}\nb", f"a\n{expected}\nb") == ""


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("▸animal .68", "▸animal .66"),
        ("▸animal .68", "▸animals .68"),
        ("▸animal .68", "▸animal  .68"),
        ("▸animal .68", " animal .67"),
        ("a .68 b .05", "b .68 a .05"),
        ("L3H1 .68", "L3H2 .68"),
        ("12 heads .68", "13 heads .68"),
        ("████▍", "████▏"),
        ("████▍", "▄▄▄▄▄"),
        ("▄▅▆", "▄▅▆▆"),
        ("▄▅▆", "▄▅▄"),
        (".68", "·"),
        ("a .68", "a .68\n"),
        ("a .68", "a .68 .67"),
    ],
)
def test_everything_else_is_seen(shown: str, expected: str) -> None:
    assert not alike(shown, expected)
    assert not alike(expected, shown)


def test_what_differs_is_told() -> None:
    assert difference("one .50\ntwo .60", "one .51\ntwo .70") == "- two .70\n+ two .60"
    assert difference("one .50", "one .51\ntwo") == "- two\n+ None"
