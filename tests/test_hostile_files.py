"""Model folders and tokenizers whose content makes no sense: one sentence, and no panic."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_bert import tiny_tokenizer

from attnviz.errors import AttnvizError
from attnviz.files import rust_errors
from attnviz.text.tokenizer import Tokenizer

Change = Callable[[dict[str, Any]], None]

TEXT = {"Sequence": {"id": "A", "type_id": 0}}

TOKENIZERS: dict[str, tuple[Change, str]] = {
    "a special token without id": (
        lambda c: c["post_processor"]["special_tokens"]["[CLS]"].update(ids=[]),
        "cannot cut the sentence: zip",
    ),
    "a special token that is not described": (
        lambda c: c["post_processor"].update(special_tokens={}),
        "cannot cut the sentence: no entry found",
    ),
    "an empty map of characters": (
        lambda c: c.update(normalizer={"type": "Precompiled", "precompiled_charsmap": ""}),
        "is not a tokenizer that can be read: Precompiled",
    ),
    "a bad map of characters": (
        lambda c: c.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "is not a tokenizer that can be read: Precompiled",
    ),
    "a pattern that takes for ever": (
        lambda c: c.update(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(a+)+$"},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        "cannot cut the sentence: Onig",
    ),
    "a template with the text twice": (
        lambda c: c["post_processor"].update(single=[TEXT, TEXT]),
        "is 14 tokens long when it is cut to 7",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change, told = TOKENIZERS[name]
    content = json.loads(tiny_tokenizer().to_str())
    change(content)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AttnvizError, match=told):
        Tokenizer.from_file(path, 7).encode(" ".join(["a" * 40 + "!"] * 9), truncate=True)
    assert capfd.readouterr() == ("", "")


def test_what_others_write_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with rust_errors("it fails", ""):
        os.write(2, b"a warning\n")
    assert capfd.readouterr().err == "a warning\n"
    with pytest.raises(AttnvizError, match="it fails: "), rust_errors("it fails", ""):
        os.write(2, str(1 // 0).encode())
    assert capfd.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt), rust_errors("it fails", ""):
        raise KeyboardInterrupt
