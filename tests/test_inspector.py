"""A text becomes an Inspection: order, batches, notes, and what cannot be read."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_bert import save_tiny_bert, tiny_tokenizer
from transformers import BertForSequenceClassification

import attnviz.model.model
import attnviz.model.native
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.model.batches import FIRST_TOKENS, batches_of, windows
from attnviz.text.tokens import Tokens


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_bert(folder)
    return load_model(str(folder))


def close(mine: Inspection, other: Inspection) -> None:
    for ours, theirs in zip(mine.layers, other.layers, strict=True):
        for part in ("x", "q", "k", "v"):
            np.testing.assert_allclose(
                getattr(ours, part), getattr(theirs, part), rtol=0, atol=1e-5
            )


def test_importing_the_inspector_imports_no_torch() -> None:
    code = (
        "import sys, attnviz.model\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'matplotlib', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_order_is_kept(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attnviz.model.batches, "BATCH_TOKENS", 20)
    texts = ["the cat sat on the mat.", "a", "it was too tired", "a", "the dog", "a cat sat"]
    inspections = list(tiny.inspect_tokens([tiny.tokenize(text) for text in texts]))
    assert [inspection.tokens.text for inspection in inspections] == texts
    for text, inspection in zip(texts, inspections, strict=True):
        close(inspection, tiny.inspect(text))


def test_nothing_in_nothing_out(tiny: Model) -> None:
    assert list(tiny.inspect_tokens([])) == []


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([5], [[0]]),
        ([5000], [[0]]),
        ([3, 3, 3, 3], [[0, 1, 2], [3]]),
        ([1, 2, 5, 5, 6, 11], [[0, 1], [2, 3], [4], [5]]),
    ],
)
def test_batches_hold_at_most_ten_tokens_with_padding(
    lengths: list[int], expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attnviz.model.batches, "BATCH_TOKENS", 10)
    batches = batches_of(list(enumerate(map(tokens_of_length, lengths))))
    assert [[index for index, _ in batch] for batch in batches] == expected


def tokens_of_length(n: int) -> Tokens:
    return Tokens("", None, (0,) * n, ("a",) * n, (None,) * n, (0,) * n, (0,) * n)


def test_windows_hold_what_memory_allows_and_end_where_more_is_waited_for() -> None:
    two, three = tokens_of_length(2), tokens_of_length(3)
    stream = [(0, two), (1, three), (2, two), None, (5, two), None, None, (7, three)]
    numbers = [[index for index, _ in window] for window in windows(stream, 5)]
    assert numbers == [[0, 1], [2], [], [5], [], [], [7], []]


def test_the_first_windows_of_a_stream_are_small() -> None:
    stream = [(index, tokens_of_length(FIRST_TOKENS // 4)) for index in range(100)]
    counts = [len(window) for window in windows(stream, 10 * FIRST_TOKENS)]
    assert counts == [4, 16, 40, 40, 0]


def test_a_line_is_answered_before_the_next_is_waited_for(tiny: Model) -> None:
    asked: list[str] = []

    def sentences() -> Iterator[tuple[int, Tokens] | None]:
        for index, text in enumerate(["the cat", "a dog"]):
            asked.append(text)
            yield index, tiny.tokenize(text)
            yield None

    stream = tiny.inspect_stream(sentences())
    index, inspection = next(stream)
    assert isinstance(inspection, Inspection)
    assert (index, inspection.tokens.text, asked) == (0, "the cat", ["the cat"])
    assert [index for index, _ in stream] == [1]


def test_a_sentence_that_fails_in_the_encoder_does_not_take_the_others_with_it(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_dogs(tokens: Tokens, *parts: object) -> Inspection:
        if "dog" in tokens.text:
            raise AttnvizError("overflow")
        return Inspection(tokens, *parts)  # type: ignore[arg-type]

    monkeypatch.setattr(attnviz.model.native, "Inspection", fail_on_dogs)
    texts = ["the cat", "a dog", "a cat sat"]
    stream = tiny.inspect_stream((i, tiny.tokenize(text)) for i, text in enumerate(texts))
    kinds = [(index, type(result).__name__) for index, result in stream]
    assert kinds == [(0, "Inspection"), (1, "AttnvizError"), (2, "Inspection")]
    with pytest.raises(AttnvizError, match="overflow"):
        list(tiny.inspect_tokens([tiny.tokenize(text) for text in texts]))


def test_an_inspection_does_not_keep_its_batch_alive(tiny: Model) -> None:
    short, long = tiny.tokenize("a"), tiny.tokenize("the cat sat on the mat.")
    first, _ = tiny.inspect_tokens([short, long])
    for number in range(2):
        for array in first.layer(number).inputs():
            assert array.base is None or array.base.nbytes == array.nbytes


def test_what_an_inspection_holds(tiny: Model) -> None:
    inspection = tiny.inspect("the cat sat", "a dog")
    facts = inspection.model
    assert (facts.num_layers, facts.num_heads, facts.d_model, facts.d_k, facts.d_ff) == (
        *(2, 3, 21),
        *(7, 23),
    )
    assert (facts.family, facts.trained, facts.seed) == ("bert", True, None)
    assert inspection.tokens.pair == "a dog"
    layers = [inspection.layer(number) for number in range(2)]
    assert [layer.inputs().x.shape for layer in layers] == [(8, 21)] * 2
    assert [layer.inputs().q.shape for layer in layers] == [(3, 8, 7)] * 2
    assert {layer.scale for layer in layers} == {7**-0.5}
    assert all(layer.bias is None for layer in layers)
    np.testing.assert_allclose(inspection.weights(1).sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_empty_sentences(text: str, tiny: Model) -> None:
    with pytest.raises(RequestError, match="the sentence is empty"):
        tiny.inspect(text)
    with pytest.raises(RequestError, match="the second sentence is empty"):
        tiny.inspect("a", text)


def test_sentences_without_anything_to_read(tiny: Model) -> None:
    with pytest.raises(RequestError, match="finds nothing to read in the sentence"):
        tiny.inspect("\u200b\x00")


def test_sentences_that_are_too_long(tiny: Model) -> None:
    with pytest.raises(RequestError, match="32 tokens long, and the model takes at most 31"):
        tiny.inspect("a " * 30)
    assert len(tiny.inspect("a " * 29).tokens) == 31
    cut = tiny.inspect("a " * 40, truncate=True)
    assert len(cut.tokens) == 31
    assert cut.tokens.dropped == 11
    assert cut.tokens.words[-1].text == "[SEP]"
    close(cut, tiny.inspect("a " * 29))
    assert tiny.inspect("a " * 29, truncate=True).tokens.dropped == 0


def test_pairs_that_are_too_long(tiny: Model) -> None:
    with pytest.raises(RequestError, match="43 tokens long"):
        tiny.inspect("a " * 20, "the " * 20)
    cut = tiny.inspect("a " * 20, "the " * 20, truncate=True)
    assert len(cut.tokens) == 31
    assert cut.tokens.dropped == 12
    assert set(cut.tokens.type_ids) == {0, 1}


@pytest.mark.parametrize(("positions", "pair"), [(1, None), (2, None), (2, "dog"), (4, "dog")])
def test_no_room_beside_the_special_tokens(
    positions: int, pair: str | None, tmp_path: Path
) -> None:
    save_tiny_bert(tmp_path, max_position_embeddings=positions)
    with pytest.raises(RequestError, match=f"takes at most {positions} tokens, and . of them"):
        load_model(str(tmp_path)).inspect("the cat", pair, truncate=True)


def test_the_least_room_there_can_be(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path, max_position_embeddings=5)
    model = load_model(str(tmp_path))
    cut = model.inspect("the cat", "a dog", truncate=True)
    assert [word.text for word in cut.tokens.words] == ["[CLS]", "the", "[SEP]", "a", "[SEP]"]


def test_a_tokenizer_that_fails_on_a_sentence(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    content = json.loads(tiny_tokenizer().to_str())
    del content["model"]["vocab"]["[UNK]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    model = load_model(str(tmp_path))
    model.inspect("the cat")
    with pytest.raises(AttnvizError, match="tokenizer cannot cut the sentence: WordPiece error"):
        model.inspect("the ☃")


def test_damaged_tokenizers_end_in_an_error_or_cut_somehow(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    path = tmp_path / "tokenizer.json"
    whole = path.read_bytes()
    random = np.random.default_rng(11)
    refused = 0
    for place in random.integers(len(whole), size=60).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            inspection = load_model(str(tmp_path)).inspect("the cat sat, ☃ didn't.")
            np.testing.assert_allclose(inspection.weights(0).sum(-1), 1, atol=1e-5)
        except AttnvizError:
            refused += 1
    assert refused > 20


def test_notes_tell_what_was_left_out(tiny: Model, tmp_path: Path) -> None:
    assert tiny.notes == ()
    save_tiny_bert(tmp_path, kind=BertForSequenceClassification)
    assert load_model(str(tmp_path)).notes == ()  # the head is for attnviz predict
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("BertForSequenceClassification", "BertModel"))
    assert load_model(str(tmp_path)).notes == ("not part of the encoder, and not read: classifier",)


def test_the_shape_of_a_trained_model_is_its_own() -> None:
    with pytest.raises(RequestError, match="--num-layers, --d-ff shape paper") as caught:
        load_model("minilm", num_layers=3, d_ff=7)
    assert caught.value.hint == "use it with --model paper"


def test_a_smaller_paper_model() -> None:
    model = load_model("paper", num_layers=2, num_heads=4, d_model=20, d_ff=9, seed=3)
    facts = model.facts
    assert (facts.name, facts.trained, facts.seed, facts.d_k) == ("paper", False, 3, 5)
    long = model.inspect("word " * 700)  # sinusoids have no end
    assert long.layer(1).inputs().q.shape == (4, 700, 5)


def test_numbers_that_overflow_in_the_run_are_told(tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path)
    theirs.embeddings.LayerNorm.weight.data.fill_(3e38)
    theirs.save_pretrained(tmp_path)
    with pytest.raises(AttnvizError, match=r"layer 0: . holds numbers that are not finite"):
        load_model(str(tmp_path)).inspect("the cat")
