"""`patch`: what B gives with heads of A in it, held to hooks on transformers' own modules."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from scipy.stats import t as student
from tiny_bert import save_tiny_bert
from tiny_others import RECORDED
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, BertForMaskedLM

import attnviz
from attnviz.answers.patch import EachPatched, Patched
from attnviz.answers.patch_summary import Tally
from attnviz.corpus.document import Document
from attnviz.corpus.twins import TwinFiles, Words
from attnviz.errors import RequestError
from attnviz.inspection import HeadId
from attnviz.model import Model, load_model

A, B = "the cat sat on the mat.", "the dog sat on the mat."
MASKED = "the cat [MASK] on the mat.", "the dog [MASK] on the mat."
LONGER = "a dog sat on the mat too."
TOLERANCE = 1e-5
HERE = Path(__file__).parent
TRANSLATOR = str(HERE.parent / "samples" / "translator")
TWINS = [f"The animal didn't cross the street because it was too {w}." for w in ("tired", "wide")]


@contextmanager
def heard(module: nn.Module, found: list[Tensor]) -> Iterator[None]:
    """Keep what enters a module."""
    handle = module.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].clone()))
    yield
    handle.remove()


@contextmanager
def changed(module: nn.Module, change: Callable[[Tensor], None]) -> Iterator[None]:
    """Change what enters a module."""

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z = inputs[0].clone()
        change(z)
        return (z, *inputs[1:])

    handle = module.register_forward_pre_hook(before)
    yield
    handle.remove()


def logits(model: Any, tokens: Any) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = model(input_ids=torch.tensor([tokens.ids])).logits[0].double().numpy()
    return found


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Any]:
    folder = tmp_path_factory.mktemp("masked")
    theirs = save_tiny_bert(folder, kind=BertForMaskedLM)
    return load_model(str(folder)), theirs


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Any]:
    folder = tmp_path_factory.mktemp("causal")
    theirs = replace(RECORDED["gpt2"], task=AutoModelForCausalLM).save(folder)
    return load_model(str(folder)), theirs


def both(model: Model, a: str = A, b: str = B) -> tuple[Any, Any]:
    return attnviz.inspect(a, model), attnviz.inspect(b, model)


def probabilities(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


def patched_by_hooks(theirs: Any, places: str, texts: Any, num_heads: int) -> np.ndarray:
    """The logits of B with each head of A in it: (layer, head, piece, vocabulary)."""
    found = []
    for layer in range(3 if "h.{}" in places else 2):
        module = theirs.get_submodule(places.format(layer))
        own: list[Tensor] = []
        with heard(module, own):
            logits(theirs, texts[0])
        width = own[0].shape[-1] // num_heads
        for head in range(num_heads):
            part = slice(head * width, (head + 1) * width)

            def change(z: Tensor, part: slice = part, own: Tensor = own[0]) -> None:
                z[..., part] = own[..., part]

            with changed(module, change):
                found.append(logits(theirs, texts[1]))
    return np.stack(found)


def test_each_head_of_a_decoder_is_that_of_a_hook(causal: tuple[Model, Any]) -> None:
    ours, theirs = causal
    a, b = both(ours)
    each = attnviz.patch(a, b, model=ours)
    assert isinstance(each, EachPatched)
    outcome = each.twins.outcome
    assert (outcome.name, outcome.unit) == ("next", "probability")
    plain = [probabilities(logits(theirs, one.tokens)[-1]) for one in (a, b)]
    best = [int(row.argmax()) for row in plain]
    against = best[1] if best[0] != best[1] else None

    def value(row: np.ndarray) -> float:
        return float(row[best[0]] - (0 if against is None else row[against]))

    assert each.twins.a.value == pytest.approx(value(plain[0]), abs=TOLERANCE)
    assert each.twins.b.value == pytest.approx(value(plain[1]), abs=TOLERANCE)
    expected = patched_by_hooks(theirs, "transformer.h.{}.attn.c_proj", (a.tokens, b.tokens), 4)
    rows = [value(probabilities(one[-1])) for one in expected]
    found = {one.head: one.effect for one in each.heads}
    whole = each.twins.a.value - each.twins.b.value
    for place, row in enumerate(rows):
        effect = found[HeadId(*divmod(place, 4))]
        assert effect.value == pytest.approx(row, abs=TOLERANCE)
        assert effect.restored == pytest.approx((row - each.twins.b.value) / whole, abs=1e-4)
    shares = [one.effect.restored or 0 for one in each.heads]
    assert shares == sorted(shares, reverse=True)
    assert [one.rank for one in each.heads] == list(range(1, 13))


def test_each_head_of_our_encoder_is_that_of_a_hook(masked: tuple[Model, Any]) -> None:
    ours, theirs = masked
    a, b = both(ours, *MASKED)
    each = attnviz.patch(a, b, model=ours, of="dog", against="cat", logit=True)
    assert isinstance(each, EachPatched)
    assert (each.twins.outcome.name, each.twins.outcome.unit) == ("mask", "logit")
    place = b.tokens.vocabulary.index("[MASK]")
    of, against = (ours.tokenize(word).ids[1] for word in ("dog", "cat"))
    expected = patched_by_hooks(
        theirs, "bert.encoder.layer.{}.attention.output.dense", (a.tokens, b.tokens), 3
    )
    found = {one.head: one.effect.value for one in each.heads}
    for number, row in enumerate(expected):
        wanted = float(row[place, of] - row[place, against])
        assert found[HeadId(*divmod(number, 3))] == pytest.approx(wanted, abs=1e-4)


def test_weights_alone_are_those_of_a_with_the_values_of_b(masked: tuple[Model, Any]) -> None:
    ours, theirs = masked
    a, b = both(ours, *MASKED)
    asked: Any = {"of": "dog", "against": "cat", "logit": True}
    place = b.tokens.vocabulary.index("[MASK]")
    of, against = (ours.tokenize(word).ids[1] for word in ("dog", "cat"))
    layer, head, width = 1, 2, 7
    of_a, of_b = a.layer(layer), b.layer(layer)
    mixed: dict[Any, np.ndarray] = {
        "weights": of_a.weights(layer, [head])[0] @ of_b.inputs().v[head],
        "v": of_b.weights(layer, [head])[0] @ of_a.inputs().v[head],
    }
    module = theirs.get_submodule(f"bert.encoder.layer.{layer}.attention.output.dense")
    for what, z in mixed.items():

        def change(own: Tensor, z: np.ndarray = z) -> None:
            own[..., head * width : (head + 1) * width] = torch.from_numpy(z)

        with changed(module, change):
            row = logits(theirs, b.tokens)[place]
        found = attnviz.patch(a, b, (layer, head), model=ours, what=what, **asked)
        assert isinstance(found, Patched)
        assert found.effect.value == pytest.approx(row[of] - row[against], abs=1e-4)


@pytest.mark.parametrize("fixture", ["masked", "causal"])
def test_all_heads_restore_all_and_none_nothing(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    ours, _ = request.getfixturevalue(fixture)
    a, b = both(ours)
    layers: list[Any] = [f"L{layer}" for layer in range(ours.facts.num_layers)]
    shared = [word.index for word in b.tokens.words if word.text != "dog"]
    for index in shared:
        query = f"@{index}"
        whole = attnviz.patch(a, b, layers, query, ours, outcome="states")
        assert isinstance(whole, Patched)
        if whole.twins.differ:  # causal models see nothing of what comes
            assert whole.effect.restored == pytest.approx(1, abs=1e-4)
            assert whole.twins.effect(whole.twins.b).restored == 0
        else:
            assert whole.effect.restored is None
    whole = attnviz.patch(a, b, layers, model=ours, outcome="states")
    assert isinstance(whole, Patched)
    assert whole.effect.restored == pytest.approx(1, abs=1e-4)
    assert whole.twins.outcome.token is None


@pytest.mark.parametrize("name", ["llama", "modernbert"])
def test_models_of_transformers(tmp_path: Path, name: str) -> None:
    RECORDED[name].save(tmp_path)
    ours = load_model(str(tmp_path))
    a, b = both(ours)
    layers: list[Any] = [f"L{layer}" for layer in range(ours.facts.num_layers)]
    whole = attnviz.patch(a, b, layers, "mat", ours)
    assert isinstance(whole, Patched)
    assert whole.twins.outcome.name == "states"  # a word that was named is one whose state moves
    assert whole.effect.restored == pytest.approx(1, abs=1e-4)
    if name == "llama":
        with pytest.raises(RequestError, match="L1H1 shares its values with H0, so its v cannot"):
            attnviz.patch(a, b, "L1H1", "mat", ours, what="v")


def test_at_each_word_alone(masked: tuple[Model, Any]) -> None:
    ours, _ = masked
    a, b = both(ours)
    found = attnviz.patch(a, b, "L1H0", "sat", ours, by="position", outcome="states")
    assert isinstance(found, Patched)
    assert [one.b for one in found.positions] == list(b.tokens.words)
    alone = attnviz.patch(a, b, "L1H0", "sat", ours, rows=["cat=dog"], outcome="states")
    assert isinstance(alone, Patched)
    [place] = [n for n, one in enumerate(found.positions) if one.b.text == "dog"]
    assert alone.effect == pytest.approx(found.positions[place].effect, abs=1e-6)
    most = found.listed(1)[0].effect.restored
    assert most == max(one.effect.restored or 0 for one in found.positions)


def test_twins_of_another_length_say_what_goes_where(masked: tuple[Model, Any]) -> None:
    ours, theirs = masked
    a, b = both(ours, LONGER, B)
    with pytest.raises(RequestError, match='"the" of B has no partner in A'):
        attnviz.patch(attnviz.inspect("dog sat on the mat too.", ours), b, "L1H0", model=ours)
    with pytest.raises(RequestError, match="do not align piece by piece: they have"):
        attnviz.patch(a, b, "L1H0", model=ours)
    with pytest.raises(RequestError, match="cannot replace the weights of L1H0, which has 9"):
        attnviz.patch(a, b, "L1H0", model=ours, what="weights", rows=["mat"], outcome="states")
    found = attnviz.patch(a, b, "L1H0", "mat", ours, rows=["mat"], outcome="states")
    assert isinstance(found, Patched)
    [(of_a, of_b)] = found.twins.rows.pieces
    module = theirs.get_submodule("bert.encoder.layer.1.attention.output.dense")
    own: list[Tensor] = []
    with heard(module, own):
        logits(theirs, a.tokens)

    def change(z: Tensor) -> None:
        z[0, of_b, :7] = own[0][0, of_a, :7]

    with torch.no_grad():
        first = theirs.bert(input_ids=torch.tensor([a.tokens.ids])).last_hidden_state[0, of_a]
        with changed(module, change):
            last = theirs.bert(input_ids=torch.tensor([b.tokens.ids])).last_hidden_state[0, of_b]
    cosine = float(torch.cosine_similarity(first.double(), last.double(), dim=0))
    assert found.effect.value == pytest.approx(1 - cosine, abs=TOLERANCE)


def test_what_is_refused(masked: tuple[Model, Any]) -> None:
    ours, _ = masked
    a, b = both(ours)
    for rows, told in (
        (["=dog"], "does not say what goes where"),
        (["bird"], 'sentence A: there is no "bird"'),
        (["cat=dog", "mat=dog"], 'two of --rows go to "dog"'),
        (["the cat=dog"], '"the cat" is 2 words of A, and "dog" 1 of B'),
    ):
        with pytest.raises(RequestError, match=told):
            attnviz.patch(a, b, "L0H0", model=ours, rows=rows)
    with pytest.raises(RequestError, match="no head was named"):
        attnviz.patch(a, b, model=ours, by="position")
    with pytest.raises(RequestError, match='"bird" is in neither sentence'):
        attnviz.patch(a, b, "L0H0", "bird", ours)


def test_where_a_and_b_hardly_differ_no_share_is_told(masked: tuple[Model, Any]) -> None:
    ours, _ = masked
    a, b = both(ours, A, A)
    each = attnviz.patch(a, b, model=ours, outcome="states")
    assert isinstance(each, EachPatched)
    assert not each.twins.differ
    assert {one.effect.restored for one in each.heads} == {None}
    tally = Tally()
    tally.add(each)
    with pytest.raises(RequestError, match=r"A and B differ by less than 0\.001"):
        tally.summary()


def test_a_cross_head_of_the_translator_flips_the_word() -> None:
    """In samples/translator one head of cross-attention carries tired or wide to es or sie."""
    model = load_model(TRANSLATOR, attention="cross")
    a, b = both(model, *TWINS)
    each = attnviz.patch(a, b, model=model)
    assert isinstance(each, EachPatched)
    twins = each.twins
    assert (twins.outcome.of, twins.outcome.against) == ("es", "sie")
    assert (twins.a.best, twins.b.best) == ("es", "sie")
    assert twins.alignment.b.text.text.endswith("nicht, weil")
    first, second = each.heads[:2]
    assert (first.head, first.effect.best) == (HeadId(0, 0), "es")
    assert first.effect.restored == pytest.approx(1, abs=0.01)
    assert abs(second.effect.restored or 0) < 0.01
    every = attnviz.patch(a, b, ["L0", "L1"], model=model)
    assert isinstance(every, Patched)
    assert every.effect.restored == pytest.approx(1, abs=1e-4)
    encoder = load_model(TRANSLATOR)
    none = attnviz.patch(*both(encoder, *TWINS), ["L0", "L1"], model=encoder, of="es")
    assert isinstance(none, Patched)
    assert none.effect.best == "sie"  # the decoder reads "wide" where it stands


def twins_in(path: Path) -> list[Any]:
    reader = TwinFiles([str(path)])
    return [item for file in reader.files() for item in reader.documents(file)]


def test_twins_are_read(tmp_path: Path) -> None:
    reader = TwinFiles([str(HERE.parent / "samples" / "pronouns.tsv")])
    found = [item for file in reader.files() for item in reader.documents(file)]
    assert (len(found), reader.alone) == (15, 30)
    first = found[0]
    assert isinstance(first, Document)
    assert [first.text, first.pair, first.marks] == [*TWINS, Words("it")]
    files = {
        "plain.txt": f"{A}\n\n{B}\n{A}\n",
        "ab.csv": f'a,b,query,of\n"{A}","{B}",sat,dog\n',
        "group.jsonl": "".join(
            f'{{"sentence": "{text}", "group": {group}}}\n'
            for group, text in ((1, A), (2, A), (1, B), (3, B))
        ),
        "wrong.tsv": "text\nx\n",
        "bad.csv": 'a,b\n"",x\n',
    }
    read = {}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        read[name] = twins_in(tmp_path / name)
    assert [(one.text, one.pair) for one in read["ab.csv"]] == [(A, B)]
    assert read["ab.csv"][0].marks == Words("sat", "dog")
    assert [(one.line, one.text, one.pair) for one in read["group.jsonl"]] == [(1, A, B)]
    twins, alone = read["plain.txt"]
    assert (twins.text, twins.pair) == (A, B)
    assert str(alone).endswith("plain.txt:4: the last sentence has no twin")
    assert "there is no column sentence" in str(read["wrong.tsv"][0])
    assert "sentence A of the twins is empty" in str(read["bad.csv"][0])


def test_means_and_intervals_over_twins(masked: tuple[Model, Any]) -> None:
    ours, _ = masked
    words = ["cat", "dog", "mat", "street"]
    pairs = [(f"the {a} was tired.", f"the {b} was tired.") for a in words for b in words if a != b]
    each = [attnviz.patch(*both(ours, *pair), model=ours, outcome="states") for pair in pairs]
    extra = [(A, LONGER), (A, A)]
    many = attnviz.patch_twins([*pairs, *extra], model=ours, outcome="states")
    assert (many.twins, many.left_out, many.alike) == (len(pairs), 1, 1)
    count = len(pairs)  # the quantiles of Hesterberg 2015
    outside = norm.cdf(student.ppf(0.025, df=count - 1) * (count / (count - 1)) ** 0.5)
    shares: dict[HeadId, list[float]] = {}
    for found in each:
        assert isinstance(found, EachPatched)
        for head, _, effect in found.heads:
            shares.setdefault(head, []).append(effect.restored or 0)
    for one in many.heads:
        own = shares[one.head]
        assert one.mean == pytest.approx(np.mean(own), abs=1e-5)
        assert one.interval is not None
        assert one.interval[0] <= one.mean <= one.interval[1]
        assert one.toward == sum(share > 1e-3 for share in own)
        draws = np.random.default_rng(7).choice(own, (4000, len(own))).mean(axis=1)
        spread = float(np.std(own)) + 1e-6
        assert np.quantile(draws, outside) == pytest.approx(one.interval[0], abs=0.1 * spread)
    assert [one.rank for one in many.heads] == list(range(1, len(many.heads) + 1))
    few = attnviz.patch_twins(pairs[:3], model=ours, outcome="states")
    assert few.heads[0].interval is None
