"""Edited runs held to the same edit made by hooks on transformers' own modules."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hooked import Attention, library, states
from tiny_bert import save_tiny_bert, tiny_bert
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, TARGET

from attnviz.attention.edits import Edit, Given, Noise, Patch, Replaced
from attnviz.errors import RequestError
from attnviz.model import Model, load_model, model_in_memory
from attnviz.model.edits import EditableText
from attnviz.transformers_backend.edits import Layers

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5
LAYER, HEAD = 1, 1
TEXT, OTHER = SENTENCES[0], SENTENCES[2]

PLACES: dict[str, dict[str | None, str]] = {
    "bert": {None: "encoder.layer.1.attention.output.dense"},
    **{name: {None: other.output} for name, other in RECORDED.items()},
    "t5": {
        "encoder": "encoder.block.1.layer.0.SelfAttention.o",
        "decoder": "decoder.block.1.layer.0.SelfAttention.o",
        "cross": "decoder.block.1.layer.1.EncDecAttention.o",
    },
    "bart": {
        "encoder": "model.encoder.layers.1.self_attn.out_proj",
        "decoder": "model.decoder.layers.1.self_attn.out_proj",
        "cross": "model.decoder.layers.1.encoder_attn.out_proj",
    },
    "marian": {
        "encoder": "model.encoder.layers.1.self_attn.out_proj",
        "cross": "model.decoder.layers.1.encoder_attn.out_proj",
    },
    "m2m_100": {
        "decoder": "model.decoder.layers.1.self_attn.out_proj",
        "cross": "model.decoder.layers.1.encoder_attn.out_proj",
    },
}
"""W_O of layer 1, by the kind of attention in models with two parts."""

CASES = [(name, kind) for name, kinds in PLACES.items() for kind in kinds]


@dataclass(frozen=True, eq=False)
class Both:
    """A text in our hands, and the same model in transformers' alone, with hooks."""

    model: Model
    text: EditableText
    other: EditableText
    theirs: Any
    attention: Attention

    def expected(self, text: EditableText | None = None) -> np.ndarray:
        """What transformers gives now."""
        batch = self._batch(text)
        encodes = batch.targets is None and self.theirs.config.is_encoder_decoder
        part = self.theirs.get_encoder() if encodes else self.theirs
        found: np.ndarray = states(part, batch.ids[0], batch.targets and batch.targets[0]).numpy()
        return found

    def numbers(self, layer: int, text: EditableText | None = None) -> dict[str, np.ndarray]:
        """A head's own q, k, v and z in transformers' run, of the head that is edited."""
        kv_heads = len(self.text.layers[layer].k)  # type: ignore[union-attr, arg-type]
        made = self.attention.numbers(lambda: self.expected(text), layer, kv_heads)
        return {
            what: numbers[:, HEAD * numbers.shape[1] // self.attention.num_heads].numpy()
            for what, numbers in made.items()
        }

    def weights(self, layer: int) -> np.ndarray:
        """The edited head's weights, as transformers' eager attention gives them."""
        batch = self._batch(None)
        fed = {"input_ids": torch.tensor(batch.ids)}
        if self.theirs.config.is_encoder_decoder:
            fed["decoder_input_ids"] = torch.tensor(batch.targets or [[0]])
        kind = self.model._runner.model.called  # type: ignore[attr-defined]
        name = f"{kind}_attentions" if self.theirs.config.is_encoder_decoder else "attentions"
        with torch.no_grad():
            output = self.theirs(**fed, output_attentions=True)
        found: np.ndarray = getattr(output, name)[layer][0, HEAD].numpy()
        return found

    def _batch(self, text: EditableText | None) -> Any:
        engine: Any = (text or self.text).engine
        return engine._batch

    def hold(self, edit: Edit, what: Any, change: Callable[[torch.Tensor], None]) -> None:
        """Hold an edit to the same change by a hook, which must change something."""
        [found] = self.text.edited([[edit]])
        with self.attention.head(what, edit.layer, edit.head, change):
            expected = self.expected()
        size = max(1.0, float(np.abs(expected).max()))
        assert np.abs(found.states - expected).max() < TOLERANCE * size
        assert np.abs(found.states - self.text.plain.states).max() > TOLERANCE * size


@pytest.fixture(params=CASES, ids=lambda case: "-".join(filter(None, case)))
def both(request: pytest.FixtureRequest) -> Both:
    name, kind = request.param
    made = {**RECORDED, **SEQ2SEQ}
    theirs = tiny_bert() if name == "bert" else made[name].build()
    options: Any = {} if kind in (None, "encoder") else {"target": TARGET}
    model = model_in_memory(deepcopy(theirs), library(), attention=kind, **options)
    text, other = (model.editable(model.tokenize(one)) for one in (TEXT, OTHER))
    place = PLACES[name][kind]
    attention = Attention(theirs, place, model.facts.num_heads, name == "albert")
    return Both(model, text, other, theirs, attention)


def writes(values: np.ndarray, rows: Any = ...) -> Callable[[torch.Tensor], None]:
    def change(numbers: torch.Tensor) -> None:
        numbers[rows] = torch.from_numpy(np.asarray(values, np.float32))

    return change


ZERO = np.zeros(1)
SOME = [0, 2]


def test_edits_are_those_of_hooks(both: Both) -> None:
    own, other = both.numbers(LAYER), both.numbers(LAYER, both.other)
    shared = len(both.text.layers[LAYER].k) < both.attention.num_heads  # type: ignore[union-attr, arg-type]
    mean = own["z"].mean(0)
    both.hold(Edit(LAYER, HEAD, source="mean"), "z", writes(mean))
    both.hold(Edit(LAYER, HEAD, rows=SOME, source="mean"), "z", writes(mean, SOME))
    given = np.linspace(-1, 1, len(mean))[None]
    both.hold(Edit(LAYER, HEAD, source=Given(given)), "z", writes(given))
    for what in "zq" if shared else "zqkv":
        edit = Edit(LAYER, HEAD, what)  # type: ignore[arg-type]
        both.hold(edit, what, writes(ZERO))
        both.hold(replace(edit, rows=SOME), what, writes(ZERO, SOME))
        patch = replace(edit, rows=SOME, source=Patch(both.other.layers))
        both.hold(patch, what, writes(other[what][SOME], SOME))
    weights = both.weights(LAYER)
    spread = np.where(weights > 0, weights.mean(0), 0)
    spread *= weights.sum(-1, keepdims=True) / spread.sum(-1, keepdims=True)
    edit = Edit(LAYER, HEAD, "weights", source="mean")
    both.hold(edit, "z", writes(spread @ own["v"]))
    both.hold(replace(edit, source="zero", rows=SOME), "z", writes(ZERO, SOME))
    turned = Patch(both.text.layers, SOME[::-1])
    swapped = weights[SOME[::-1]] @ own["v"]
    both.hold(replace(edit, rows=SOME, source=turned), "z", writes(swapped, SOME))


def test_each_head_of_each_layer(both: Both) -> None:
    """They run together, from the layer of the head on where that can be had."""
    facts, engine = both.model.facts, both.text.engine
    places = list(np.ndindex(facts.num_layers, facts.num_heads))
    runs = [[Edit(*place)] for place in places]
    layers: Any = engine._layers  # type: ignore[attr-defined]
    assert bool(layers.modules) == (facts.family != "albert")  # whose layers are one module
    together = list(both.text.edited(runs[::-1]))[::-1]
    engine._layers, engine._together = Layers(), False  # type: ignore[attr-defined]
    for place, output, whole in zip(places, together, both.text.edited(runs), strict=True):
        with both.attention.head("z", place[0], place[1], writes(ZERO)):
            expected = both.expected()
        size = max(1.0, float(np.abs(expected).max()))
        assert np.abs(output.states - expected).max() < TOLERANCE * size
        assert np.abs(output.states - whole.states).max() < TOLERANCE * size


@pytest.fixture(scope="module", params=["numpy", "torch", "transformers"])
def bert(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A BERT in each engine, and in transformers."""
    folder = tmp_path_factory.mktemp("bert")
    theirs = save_tiny_bert(folder)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "transformers":
            model = model_in_memory(deepcopy(theirs), library())
        else:
            patch.setenv("ATTNVIZ_ENGINE", request.param)
            model = load_model(str(folder))
        yield model, Attention(theirs, PLACES["bert"][None], 3)


@pytest.mark.parametrize("what", ["z", "q", "k", "v", "weights"])
def test_several_edits_of_one_head(bert: Any, what: Any) -> None:
    """All are made, and inputs before results, in whatever order they come."""
    model, attention = bert
    text, other = (model.editable(model.tokenize(one)) for one in (TEXT, OTHER))
    ids = text.tokens.ids
    patch = Edit(LAYER, HEAD, what, (0,), Patch(other.layers))
    if what == "weights":
        patch = replace(patch, source=Patch(text.layers, (5,)))
    edits = [Edit(LAYER, HEAD, "z", (4,)), Edit(LAYER, HEAD, what, (2, 3)), patch, Edit(0, 2)]
    record, theirs = text.layers[LAYER], attention.model
    name = "z" if what == "weights" else what

    def change(numbers: torch.Tensor) -> None:
        numbers[[2, 3]] = 0
        if what != "weights":
            values = getattr(other.layers[LAYER], what)[HEAD, 0]
        else:
            values = record.weights(LAYER)[HEAD, 5] @ record.v[HEAD]
        # what a head gives from its own record, above a layer that was edited too
        numbers[0] = torch.from_numpy(values)

    if what == "weights":  # of the values that the edited layer below gives
        with attention.head("z", 0, 2, writes(ZERO)):
            made = attention.numbers(lambda: states(theirs, ids), LAYER, 3)["v"][:, HEAD].numpy()
        record = replace(record, v=np.broadcast_to(made, record.v.shape))
    with (
        attention.head("z", LAYER, HEAD, writes(ZERO, [4])),
        attention.head(name, LAYER, HEAD, change),
        attention.head("z", 0, 2, writes(ZERO)),
    ):
        expected = states(theirs, ids).numpy()
    for order in (edits, edits[::-1]):
        [output] = text.edited([order], slice(1, 7))
        np.testing.assert_allclose(output.states, expected[1:7], rtol=0, atol=2 * TOLERANCE)


def test_what_does_not_fit(bert: Any) -> None:
    model, _ = bert
    text, other = (model.editable(model.tokenize(one)) for one in (TEXT, OTHER))
    count = len(text.tokens)

    def refused(edit: Edit, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            list(text.edited([[edit]]))

    for row in (-1, count):
        refused(Edit(0, 0, rows=(0, row)), f"no row {row} in this run, whose rows are 0 to")
    refused(Edit(0, 0, rows=(1,), source=Patch(other.layers, (99,))), "no row 99 in the other run")
    refused(Edit(0, 0, source=Patch(other.layers)), f"{len(other.tokens)} rows of z cannot replace")
    refused(Edit(0, 0, "weights", (1,), Patch(other.layers)), "9 numbers a row cannot replace the")
    refused(Edit(0, 0, source=Given(np.ones((1, 9)))), "9 numbers a row cannot replace the z of")
    refused(Edit(2, 0), "there is no head L2H0 to edit")
    with pytest.raises(RequestError, match="no head is named"):
        list(text.edited([[]]))


def test_noise_is_that_of_its_seed(bert: Any) -> None:
    model, _ = bert
    tokens = model.tokenize(TEXT)

    def run(source: Any, what: Any = "z") -> np.ndarray:
        found: np.ndarray = model.run_with(tokens, [Edit(LAYER, HEAD, what, source=source)]).states
        return found

    for what in ("z", "q", "k", "v", "weights"):
        assert np.array_equal(run(Noise(1), what), run(Noise(1), what))
        assert np.abs(run(Noise(1), what) - run(Noise(2), what)).max() > 1e-3


def replaced(text: EditableText, what: Any, source: Any) -> Replaced:
    return Edit(LAYER, HEAD, what, source=source).replaced(len(text.tokens), text.layers[LAYER])


def test_noise_has_the_mean_and_spread_of_what_it_replaces() -> None:
    model = model_in_memory(RECORDED["llama"].build(), library())
    text = model.editable(model.tokenize(TEXT))
    own = text.layers[LAYER].z[HEAD]  # type: ignore[union-attr, index]
    drawn = np.stack([replaced(text, "z", Noise(seed)).values for seed in range(200)])
    np.testing.assert_allclose(drawn.mean((0, 1)), own.mean(0), atol=0.2 * own.std())
    np.testing.assert_allclose(drawn.std((0, 1)), own.std(0), rtol=0.1)
    weights = replaced(text, "weights", Noise(1)).values
    assert (np.triu(weights, 1) == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_a_patch_of_the_same_text_changes_nothing(bert: Any) -> None:
    model, _ = bert
    text = model.editable(model.tokenize(TEXT))
    places = list(np.ndindex(model.facts.num_layers, model.facts.num_heads))
    whats: tuple[Any, ...] = ("z", "q", "k", "v", "weights")
    for what in whats:
        patch = Patch(text.layers)
        run = [Edit(layer, head, what, source=patch) for layer, head in places]
        [output] = text.edited([run])
        assert np.abs(output.states - text.plain.states).max() < TOLERANCE


def test_a_head_that_shares_its_keys() -> None:
    model = model_in_memory(RECORDED["llama"].build(), library())
    with pytest.raises(RequestError, match="L1H1 shares its keys with H0, so its k cannot be"):
        model.run_with(model.tokenize(TEXT), [Edit(LAYER, HEAD, "k")])


@pytest.mark.parametrize("name", ["gpt2", "bart"])
@pytest.mark.parametrize("ids", [(5,), (5, 0, 6, 0, 0, 7)], ids=["one token", "padding's id"])
def test_texts_of_one_token_and_of_padding(name: str, ids: tuple[int, ...]) -> None:
    theirs = {**RECORDED, **SEQ2SEQ}[name].build()
    model = model_in_memory(deepcopy(theirs), library())
    whole = model.tokenize("a dog it was the cat")
    cut = {
        field: getattr(whole, field)[: len(ids)]
        for field in ("vocabulary", "spans", "segments", "type_ids")
    }
    text = model.editable(replace(whole, ids=ids, **cut))
    [kind] = list(PLACES[name])[:1]
    attention = Attention(theirs, PLACES[name][kind], model.facts.num_heads)
    part = theirs.get_encoder() if name == "bart" else theirs
    for edit in (Edit(LAYER, HEAD), Edit(LAYER, HEAD, "v")):
        with attention.head(edit.what, LAYER, HEAD, writes(ZERO)):  # type: ignore[arg-type]
            expected = states(part, ids).numpy()
        found = [output.states for output in text.edited([[edit]] * 3)]
        np.testing.assert_allclose(found, [expected] * 3, rtol=0, atol=TOLERANCE)


def test_a_long_text_and_another_dtype() -> None:
    theirs = RECORDED["mistral"].build(max_position_embeddings=4096)
    model = model_in_memory(deepcopy(theirs), library())
    text = model.editable(model.tokenize(" ".join(["a dog"] * 1000)))
    assert len(text.tokens) == 2002
    attention = Attention(theirs, PLACES["mistral"][None], model.facts.num_heads)
    with attention.head("z", LAYER, HEAD, writes(ZERO)):
        expected = states(theirs, text.tokens.ids).numpy()
    whole = Edit(LAYER, HEAD, "weights"), Edit(LAYER, HEAD)
    for output in text.edited([[edit] for edit in whole]):
        np.testing.assert_allclose(output.states, expected, rtol=0, atol=TOLERANCE)
    coarse = model_in_memory(theirs.to(torch.bfloat16), library())
    short = coarse.editable(coarse.tokenize(TEXT))
    engine: Any = short.engine
    assert engine._layers.modules
    runs = [[Edit(*place)] for place in np.ndindex(3, 4)]
    for place, output in zip(np.ndindex(3, 4), short.edited(runs), strict=True):
        with attention.head("z", place[0], place[1], writes(ZERO)):
            near = states(theirs, short.tokens.ids).float().numpy()
        assert np.abs(output.states - near).max() < 0.1 * np.abs(near).max()
