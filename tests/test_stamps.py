"""Whether files are known again: by their content, wherever they lie and whatever their time."""

import logging
import os
from pathlib import Path

import fsspec
import pytest
from corpora import Itself, Listed

from attnviz.corpus import stamps
from attnviz.corpus.fold import Folded
from attnviz.corpus.kept import Kept, Run
from attnviz.corpus.stamps import changed, stamps_of
from attnviz.errors import RequestError
from attnviz.model import Model


def test_small_files_are_known_by_all_of_their_content(tmp_path: Path) -> None:
    one = tmp_path / "one.txt"
    one.write_bytes(b"a" * 5000)
    before = stamps_of([str(one)])
    os.utime(one, ns=(0, 0))
    assert changed(before, stamps_of([str(one)])) == ""
    found = os.stat(one)
    one.write_bytes(b"a" * 2500 + b"b" + b"a" * 2499)
    os.utime(one, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed(before, stamps_of([str(one)])) == f"{one} has changed since it was read"


def test_large_files_are_known_by_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stamps, "HASHED", 1 << 13)
    large = tmp_path / "large.txt"
    content = bytearray(os.urandom(1 << 20))
    large.write_bytes(content)
    before = stamps_of([str(large)])
    os.utime(large, ns=(1, 1))
    with caplog.at_level(logging.WARNING, "attnviz"):
        assert changed(before, stamps_of([str(large)])) == ""
    assert caplog.messages == [
        f"{large} has another time than before; its size is the same, and so are 8 pieces of it"
    ]
    for place in (0, -1, (len(content) - 1024) // 7):  # both ends, and where a piece begins
        other = content.copy()
        other[place] ^= 1
        large.write_bytes(other)
        assert changed(before, stamps_of([str(large)])).endswith("has changed since it was read")


def test_files_elsewhere_are_known_by_what_is_told_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a tag of the content, or else by size and both ends."""
    name = "memory://stamps/a.txt"
    system = fsspec.filesystem("memory")
    system.pipe("/stamps/a.txt", b"x" * 200_000)
    before = stamps_of([name])
    system.pipe("/stamps/a.txt", b"x" * 200_000)  # at another time
    assert changed(before, stamps_of([name])) == ""
    for content in (b"x" * 199_999, b"y" + b"x" * 199_999, b"x" * 199_999 + b"y"):
        system.pipe("/stamps/a.txt", content)
        assert changed(before, stamps_of([name])) == f"{name} has changed since it was read"
    tag = {"size": 5, "ETag": '"1"'}
    monkeypatch.setattr(type(system), "info", lambda self, path: {**tag, "LastModified": "now"})
    assert stamps_of([name]) == [(name, tag)]
    assert stamps_of(["-", "nowhere://x"]) == [("-", None), ("nowhere://x", None)]


def test_which_files_are_others_is_said() -> None:
    one, other = ("a", {"size": 1, "hash": "1"}), ("b", {"size": 1, "hash": "2"})
    assert changed([one, other], [one, other]) == ""
    assert changed([one, other], [other]) == "a was read before and not named now"
    assert changed([one], [one, other]) == "b was named now and not read before"
    assert changed([one, other], [other, one]) == "the files came in another order"


def test_a_model_that_has_changed_is_told(minilm: Model, tmp_path: Path) -> None:
    """Weights that go on being trained in their folder have the same shape."""
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"before")

    def kept(attention: str) -> Kept:
        run = Run({"attention": attention}, (weights,))
        return Kept.of(tmp_path / "kept", Itself(), Listed({}), minilm.facts, run)

    first = kept("encoder")
    first.save(Folded(Itself().accumulator(minilm.facts)), {})
    with pytest.raises(RequestError, match="with attention encoder, and cross came"):
        kept("cross").load(Itself().accumulator(minilm.facts))
    weights.write_bytes(b"after.")
    with pytest.raises(RequestError, match=r"as it was: model\.safetensors has changed since"):
        kept("encoder").load(Itself().accumulator(minilm.facts))
    assert first.load(Itself().accumulator(minilm.facts)) is not None
