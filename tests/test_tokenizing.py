"""Tokenizers without a tokenizer.json, and those with languages, as transformers builds them."""

import importlib.util
import json
import socket
import warnings
from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from sentencepieces import pieces_of, processor, trained
from test_tokens import FAMILY, TEXTS, check
from tiny_families import save_tiny
from vocabularies import ROBERTAS, byte_level, wordpiece

import attnviz.transformers_backend.tokenizers
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import load_model
from attnviz.models import ModelFiles
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend.tokenizers import tokenizer_of, transformers_tokenizer, wrapped

Files = dict[str, str | bytes]

TEXT = f"The animal didn't cross 동물은 👩 e\u0301t 動 {FAMILY}."
WORDS = ["The", "animal", "didn't", "cross", "동물은", "👩", "e\u0301t", "動", FAMILY, "."]


def of(model_type: str, **files: str | bytes) -> Files:
    """A folder's files, by name."""
    return {"config.json": json.dumps({"model_type": model_type}), **files}


def settings_of(**entries: Any) -> str:
    return json.dumps(entries)


@cache
def bert() -> Files:
    made = wordpiece().get_vocab()
    lines = ["[PAD]", *sorted(made, key=lambda piece: made[piece])]
    return of("bert", **{"vocab.txt": "\n".join(lines)})


def pairs(model_type: str, **files: str) -> Files:
    made = json.loads(byte_level(False, ROBERTAS).to_str())["model"]
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in made["merges"])])
    return of(
        model_type, **{"vocab.json": json.dumps(made["vocab"]), "merges.txt": merges}, **files
    )


@cache
def t5() -> Files:
    model = trained(vocab_size=150, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    return of("t5", **{"spiece.model": model})


def with_bytes(model_type: str, **files: str) -> Files:
    model: Files = {
        "tokenizer.model": trained(vocab_size=420, model_type="bpe", byte_fallback=True)
    }
    return of(model_type, **model, **files)


@cache
def marian() -> Files:
    source, target = processor("with bytes"), processor("unigram")
    pieces = dict.fromkeys([*pieces_of(source), *pieces_of(target), "<pad>", ">>de<<"])
    return of(
        "marian",
        **{
            "source.spm": source.serialized_model_proto(),
            "target.spm": target.serialized_model_proto(),
            "vocab.json": json.dumps({piece: number for number, piece in enumerate(pieces)}),
            "tokenizer_config.json": settings_of(source_lang="en", target_lang="de"),
        },
    )


def m2m(**entries: str) -> Files:
    library = processor("unigram")
    vocabulary = {piece: number for number, piece in enumerate(["<pad>", *pieces_of(library)])}
    return of(
        "m2m_100",
        **{
            "sentencepiece.bpe.model": library.serialized_model_proto(),
            "vocab.json": json.dumps(vocabulary),
            "tokenizer_config.json": settings_of(**entries),
        },
    )


def mbart(**entries: str) -> Files:
    files: Files = {
        "sentencepiece.bpe.model": trained(vocab_size=150),
        "tokenizer_config.json": settings_of(**entries),
    }
    return of("mbart", **files)


KINDS: dict[str, Callable[[], Files]] = {
    "bert": bert,
    "roberta": lambda: pairs("roberta"),
    "gpt2": lambda: pairs("gpt2"),
    "t5": t5,
    "xlm-roberta": lambda: of(
        "xlm-roberta", **{"sentencepiece.bpe.model": trained(vocab_size=150)}
    ),
    "llama": lambda: with_bytes(
        "llama", **{"tokenizer_config.json": settings_of(add_bos_token=True)}
    ),
    "marian": marian,
    "m2m_100": lambda: m2m(src_lang="fr", tgt_lang="ko"),
    "mbart": lambda: mbart(src_lang="en_XX", tgt_lang="ko_KR"),
    "byt5": lambda: of(
        "t5", **{"tokenizer_config.json": settings_of(tokenizer_class="ByT5Tokenizer")}
    ),
}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Files], Path]:
    def save(files: Files) -> Path:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        return tmp_path

    return save


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tokenizer]:
    @cache
    def build(kind: str) -> Tokenizer:
        folder = tmp_path_factory.mktemp(kind)
        for name, content in KINDS[kind]().items():
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data)
        return wrapped(transformers_tokenizer(folder))

    return build


def told(tokens: Tokens) -> list[tuple[str, str | None]]:
    return [
        (piece, None if span is None else tokens.text[slice(*span)])
        for piece, span in zip(tokens.vocabulary, tokens.spans, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_the_texts_own(kind: str, built: Callable[[str], Tokenizer]) -> None:
    tokens = built(kind).encode(TEXT)
    check(tokens)
    assert [word.text for word in tokens.words if not word.special] == WORDS


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_special_tokens_are_transformers(
    kind: str, built: Callable[[str], Tokenizer], saved: Callable[[Files], Path]
) -> None:
    with warnings.catch_warnings(action="ignore"):  # Marian's recommends another library
        library = transformers.AutoTokenizer.from_pretrained(str(saved(KINDS[kind]())))
    tokens = built(kind).encode(TEXT)
    theirs = library(TEXT, return_special_tokens_mask=True)
    assert list(tokens.ids) == theirs["input_ids"]
    special = [span is None for span in tokens.spans]
    bare = library(TEXT, add_special_tokens=False)["input_ids"]
    assert [n for n, put_in in zip(tokens.ids, special, strict=True) if not put_in] == bare
    assert built(kind).vocabulary_size == len(library)


@pytest.mark.parametrize("kind", ["bert", "t5", "llama", "marian", "m2m_100", "byt5"])
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXTS)
def test_any_text(kind: str, text: str, built: Callable[[str], Tokenizer]) -> None:
    try:
        tokens = built(kind).encode(text)
    except RequestError:
        return
    check(tokens)


class Kmers(transformers.PythonBackend):
    """Cuts DNA into groups of three bases, each a base after the one before."""

    def __init__(self) -> None:
        groups = ("".join(bases) for bases in product("ACGT", repeat=3))
        self.groups = {group: number for number, group in enumerate([*groups, "<unk>"])}
        super().__init__(unk_token="<unk>")  # type: ignore[no-untyped-call]

    @property
    def vocab_size(self) -> int:
        return len(self.groups)

    def get_vocab(self) -> dict[str, int]:
        return dict(self.groups)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return [text[start : start + 3].upper() for start in range(len(text) - 2)]

    def _convert_token_to_id(self, token: str) -> int:
        return self.groups.get(token, self.groups["<unk>"])

    def _convert_id_to_token(self, index: int) -> str:
        return list(self.groups)[index]


def test_groups_of_bases_that_overlap_are_a_word_each() -> None:
    tokens = wrapped(Kmers()).encode("acgTTA")
    assert [(word.text, word.start, word.end) for word in tokens.words] == [
        ("acg", 0, 3),
        ("cgT", 1, 4),
        ("gTT", 2, 5),
        ("TTA", 3, 6),
    ]
    assert [piece.label for piece in tokens.pieces] == ["ACG", "CGT", "GTT", "TTA"]
    given = wrapped(Kmers()).encode(("acgT", "GGG"))
    assert [(word.text, len(word.pieces)) for word in given.words] == [("acgT", 2), ("GGG", 1)]


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("bert", ["[CLS]"], ["[SEP]"]),
        ("roberta", ["<s>"], ["</s>"]),
        ("gpt2", [], []),
        ("t5", [], ["</s>"]),
        ("xlm-roberta", ["<s>"], ["</s>"]),
        ("llama", ["<s>"], []),
        ("marian", [], ["</s>"]),
        ("m2m_100", ["__fr__"], ["</s>"]),
        ("mbart", [], ["</s>", "en_XX"]),
        ("byt5", [], ["</s>"]),
    ],
)
def test_special_tokens_of_each_kind(
    kind: str, first: list[str], last: list[str], built: Callable[[str], Tokenizer]
) -> None:
    tokens = built(kind).encode("the animal")
    special = [word.text if word.special else "…" for word in tokens.words]
    assert special == [*first, "…", "…", *last]
    alone = [word.text for word in tokens.words if not word.special]
    assert alone == ["the", "animal"]


def test_marians_pieces_are_put_beside_the_text(built: Callable[[str], Tokenizer]) -> None:
    tokens = built("marian").encode("  the 動 é")
    assert told(tokens) == [
        ("▁t", "t"),
        ("h", "h"),
        ("e", "e"),
        ("▁", " "),
        *(("<0x" + f"{byte:02X}>", "動") for byte in "動".encode()),
        ("▁", " "),
        *(("<0x" + f"{byte:02X}>", "é") for byte in "é".encode()),
        ("</s>", None),
    ]
    assert tokens.words[0].pieces == ("▁t", "h", "e")


def test_what_marians_decoder_is_fed_is_cut_by_its_own_model(
    built: Callable[[str], Tokenizer],
) -> None:
    marian = built("marian")
    pad = _id(marian, "<pad>")
    fed = marian.encode_target("the 動", pad)
    # the target's model knows no bytes
    assert told(fed) == [
        ("<pad>", None),
        ("▁t", "t"),
        ("h", "h"),
        ("e", "e"),
        ("▁", " "),
        ("<unk>", "動"),
    ]
    assert "<0xE5>" in marian.encode("the 動").vocabulary
    with pytest.raises(RequestError, match="the target is empty"):
        marian.encode_target(" ", pad)


def _id(tokenizer: Tokenizer, entry: str) -> int:
    return next(n for n in range(tokenizer.vocabulary_size) if tokenizer.entry(n) == entry)


def test_languages_stand_where_the_models_have_them(built: Callable[[str], Tokenizer]) -> None:
    m2m, mbart, t5 = (built(kind) for kind in ("m2m_100", "mbart", "t5"))
    end = _id(m2m, "</s>")
    assert m2m.encode_target("the", end).vocabulary == ("</s>", "__ko__", "▁t", "h", "e")
    # mBART has no start token: its decoder is fed the language first
    assert mbart.encode_target("the").vocabulary[0] == "ko_KR"
    assert mbart.encode_target("the").vocabulary[-1] == "</s>"
    assert mbart.encode("the").vocabulary[-2:] == ("</s>", "en_XX")
    assert t5.encode_target("the", 0).vocabulary == ("<pad>", "▁t", "h", "e")
    for tokens in (m2m.encode_target("the", end), mbart.encode_target("the")):
        assert [w.text for w in tokens.words if not w.special] == ["the"]


def test_a_language_that_the_model_must_write_first(saved: Callable[[Files], Path]) -> None:
    folder = saved(m2m(src_lang="en"))
    library = transformers.AutoTokenizer.from_pretrained(str(folder))
    first = library.get_lang_id("de")
    assert wrapped(transformers_tokenizer(folder), forced_first=first).encode_target(
        "a", 0
    ).vocabulary[:2] == (
        "<pad>",
        "__de__",
    )
    unsaid = wrapped(transformers_tokenizer(folder))
    assert unsaid.encode("a").vocabulary[0] == "__en__"
    with pytest.raises(RequestError, match="does not know the language of the target") as caught:
        unsaid.encode_target("a", 0)
    assert '"tgt_lang"' in caught.value.hint
    assert unsaid.encode("a").vocabulary[0] == "__en__"


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5", "llama", "marian", "m2m_100", "byt5"])
def test_what_a_decoder_wrote_is_read(kind: str, built: Callable[[str], Tokenizer]) -> None:
    tokenizer = built(kind)
    ids = tokenizer.encode("the animal 동물은 動").ids
    tokens = tokenizer.reading(ids)
    check(tokens)
    assert tokens.ids == ids
    words = [word.text for word in tokens.words if not word.special]
    assert words[:2] == ["the", "animal"]
    assert tokens.text.split()[:2] == ["the", "animal"]
    special = [word.text for word in tokens.words if word.special]
    assert special == [word.text for word in tokenizer.encode("a").words if word.special]


@pytest.mark.parametrize("kind", ["bert", "marian", "byt5"])
def test_too_long_a_text(kind: str, saved: Callable[[Files], Path]) -> None:
    short = wrapped(transformers_tokenizer(saved(KINDS[kind]())), 9, max_target=5)
    text = "the animal and the animal and the animal"
    with pytest.raises(RequestError, match=r"the sentence is \d+ tokens long, .* at most 9"):
        short.encode(text)
    whole = wrapped(transformers_tokenizer(saved(KINDS[kind]()))).encode(text)
    tokens = short.encode(text, truncate=True)
    assert (len(tokens), tokens.dropped) == (9, len(whole) - 9)
    assert tokens.vocabulary[-1] == whole.vocabulary[-1]
    assert tokens.spans[:-1] == whole.spans[:8]
    with pytest.raises(RequestError, match=r"the target is \d+ tokens long, .* at most 5"):
        short.encode_target(text, 0)
    assert len(short.encode_target(text, 0, truncate=True)) == 5
    pair = short.encode("the animal", "and animals", truncate=True)
    assert len(pair) == 9
    assert set(pair.segments) == {0, 1}


def test_a_pair_of_a_slow_tokenizer(built: Callable[[str], Tokenizer]) -> None:
    tokens = built("byt5").encode("an", "it")
    assert told(tokens)[:3] == [("a", "a"), ("n", "n"), ("</s>", None)]
    assert tokens.segments == (0, 0, 0, 1, 1, 1)
    assert built("byt5").separates_pairs
    assert not built("marian").separates_pairs


@pytest.mark.parametrize(
    "files",
    [
        of("llama"),
        of("marian", **{"vocab.json": "{}"}),
        of("t5", **{"spiece.model": b"no model"}),
        of("bert"),
        of("gpt2"),
        of("bert", **{"tokenizer_config.json": "[1]"}),
    ],
)
def test_files_that_make_no_tokenizer(files: Files, saved: Callable[[Files], Path]) -> None:
    folder = saved(files)
    with pytest.raises(AttnvizError) as caught:
        wrapped(transformers_tokenizer(folder))
    assert str(folder) in caught.value.message
    assert "tokenizer.json" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_library_that_is_missing(
    saved: Callable[[Files], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == "sentencepiece" else importlib.util.find_spec(name)

    def refuse(*_: object, **__: object) -> None:
        raise ImportError("\nMarianTokenizer requires the SentencePiece library but\nit was not")

    monkeypatch.setattr(attnviz.transformers_backend.tokenizers, "find_spec", find_spec)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    folder = saved(marian())
    with pytest.raises(AttnvizError) as caught:
        wrapped(transformers_tokenizer(folder))
    assert caught.value.message == (
        f"the tokenizer in {folder} needs sentencepiece, which is not installed"
    )
    assert caught.value.hint.startswith("pip install sentencepiece")


def test_a_folder_without_a_tokenizer_lacks_no_library(saved: Callable[[Files], Path]) -> None:
    """transformers names tiktoken and sentencepiece, whatever the folder lacks."""
    settings = settings_of(tokenizer_class="TokenizersBackend")
    folder = saved(of("bert", **{"tokenizer_config.json": settings}))
    with pytest.raises(RequestError) as caught:
        transformers_tokenizer(folder)
    assert caught.value.message == (
        f"the folder {folder} has no tokenizer.json, nor other files of a tokenizer"
    )
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(AttnvizError, match="transformers cannot build a tokenizer"):
        transformers_tokenizer(folder)


def test_nobody_is_contacted_and_nothing_is_said(
    saved: Callable[[Files], Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def contacted(*_: object, **__: object) -> None:
        raise AssertionError("somebody was contacted")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, contacted)
    monkeypatch.setattr(socket, "getaddrinfo", contacted)
    tokenizer = tokenizer_of(files_in(saved(marian())), None)
    tokenizer.encode("the animal")
    assert tokenizer.notes == (
        "transformers says of its tokenizer: Recommended: pip install sacremoses",
    )
    assert capfd.readouterr() == ("", "")


def files_in(folder: Path) -> ModelFiles:
    tokenizer = folder / "tokenizer.json"
    weights = folder / "model.safetensors"
    return ModelFiles(
        "x", folder / "config.json", tokenizer if tokenizer.exists() else None, weights
    )


def test_with_languages_tokenizer_json_does_not_do(saved: Callable[[Files], Path]) -> None:
    folder = saved(mbart(src_lang="en_XX", tgt_lang="de_DE"))
    transformers.AutoTokenizer.from_pretrained(str(folder)).save_pretrained(str(folder))
    assert (folder / "tokenizer.json").exists()
    tokenizer = tokenizer_of(files_in(folder), None)
    assert tokenizer.encode("a").vocabulary[-1] == "en_XX"
    assert tokenizer.encode_target("a").vocabulary[0] == "de_DE"


def test_a_translator_without_tokenizer_json(saved: Callable[[Files], Path]) -> None:
    files = {name: content for name, content in marian().items() if name != "config.json"}
    count = len(json.loads(files["vocab.json"]))
    sizes: dict[str, Any] = dict.fromkeys(("vocab_size", "decoder_vocab_size"), count)
    sizes |= dict.fromkeys(("pad_token_id", "decoder_start_token_id"), count - 2)  # <pad>
    folder = saved({})
    save_tiny(folder, "marian", **sizes)
    saved(files)
    (folder / "tokenizer.json").unlink()
    encoder = load_model(str(folder)).inspect("나는 학생이다 動")
    assert [word.text for word in encoder.tokens.words] == ["나는", "학생이다", "動", "</s>"]
    across = load_model(str(folder), attention="cross", target="the animal")
    inspection = across.inspect("나는 학생이다 動")
    assert [word.text for word in inspection.tokens.words] == ["<pad>", "the", "animal"]
    assert inspection.key_tokens == encoder.tokens
    assert inspection.weights(0, unit="word").shape == (7, 3, 4)
