"""`attnviz check`: ten faults put back by hand are each caught by the line that names it."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
import transformers
from model_types import save_type
from test_batches import CONVBERT
from test_schemas import SCHEMAS
from tiny_bert import tiny_tokenizer
from tiny_families import TINY, save_tiny
from tiny_others import RECORDED, SEQ2SEQ, WEIGHTS_ONLY
from tokenizers import Tokenizer
from transformers.masking_utils import causal_mask_function, create_causal_mask, sdpa_mask
from transformers.models.gpt2 import modeling_gpt2
from transformers.models.mistral import modeling_mistral

import attnviz
from attnviz.answers.check import Check, check
from attnviz.attention import layer
from attnviz.attention.rollout import Mixed
from attnviz.cli.app import command as options_of
from attnviz.cli.app import exit_code_of
from attnviz.cli.check import Checked
from attnviz.cli.check import check as command
from attnviz.cli.options import Results
from attnviz.encoder import edits, record
from attnviz.encoder.encoder import Encoder
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.evidence import Evidence
from attnviz.model import load_model
from attnviz.model.check import gather, run_to_check
from attnviz.transformers_backend import attention_call, reference
from attnviz.transformers_backend import edits as own_edits
from attnviz.transformers_backend.attention_call import Call
from attnviz.transformers_backend.record import Batch
from attnviz.transformers_backend.reference import Reference

pytestmark = pytest.mark.usefixtures("one_thread")

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]

TYPED = ("bert", "xlm-roberta", "camembert", "electra", "albert", "convbert", "longformer",
         "xlnet")  # fmt: skip
"""Models that take the types of tokens, whose tokenizers give them."""


def save_library(folder: Path, tokenizer: Tokenizer, **settings: Any) -> None:
    """A tokenizer that AutoTokenizer reads as it is."""
    library: Any = transformers.PreTrainedTokenizerFast
    library(tokenizer_object=tokenizer, **settings).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Tiny models, each made once, with tokenizers that AutoTokenizer reads as they are."""
    made = tmp_path_factory.mktemp("models")

    def saved(name: str) -> Path:
        place = made / name
        if place.exists():
            return place
        place.mkdir()
        tokenizer = tiny_tokenizer()
        if name in TINY:
            save_tiny(place, name)
            tokenizer = TINY[name].tokenizer()
        else:
            {**RECORDED, **SEQ2SEQ, **WEIGHTS_ONLY, "convbert": CONVBERT}[name].save(place)
        inputs = ["input_ids", "token_type_ids", "attention_mask"][:: 1 if name in TYPED else 2]
        save_library(place, tokenizer, model_input_names=inputs)
        return place

    return saved


def evidence_of(name: str, fault: Fault | None = None, **options: Any) -> Evidence:
    """What is gathered of a model, with a fault that came after it was loaded and tried out."""
    run = run_to_check(name, options)
    model = load_model(name, **{**options, "target": run.target})
    try:
        with pytest.MonkeyPatch.context() as patch:
            if fault is not None:
                fault(patch)
                attention_call.register()
            return gather(model, run)
    finally:
        attention_call.register()


def judged(name: str, fault: Fault | None = None, **options: Any) -> Check:
    """The lines of `evidence_of`, judged with the fault in place."""
    evidence = evidence_of(name, fault, **options)
    with pytest.MonkeyPatch.context() as patch:
        if fault is not None:
            fault(patch)
        return check(evidence)


def by_result(answer: Check) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "not applicable": set()}
    for line in answer.lines:
        found[line.result].add(line.check)
    return found


# Faults, each where it would be in the code


def head_mask_never_applied(patch: Patch) -> None:
    patch.setattr(edits, "_edit", lambda *_: None)


def zeroed_slices_that_are_not_heads(patch: Patch) -> None:
    def wrong(_engine: Any, heads: Any, _own: Any, made: Any, *_: Any) -> None:
        heads[:, :, made[0].head] = 0  # a slice of every head

    patch.setattr(edits, "_edit", wrong)


def head_mask_never_applied_by_transformers(patch: Patch) -> None:
    patch.setattr(own_edits, "_write", lambda *_: None)


def zeroed_slices_that_are_not_heads_by_transformers(patch: Patch) -> None:
    def wrong(heads: Any, made: Any) -> None:
        heads[..., made.head] = 0  # a slice of every head

    patch.setattr(own_edits, "_write", wrong)


def window_ignored(patch: Patch) -> None:
    def without_window(*, allow_is_causal_skip: bool = True, **options: Any) -> Any:
        options |= {"mask_function": causal_mask_function, "local_size": None}
        return sdpa_mask(allow_is_causal_skip=False, **options)

    patch.setattr(attention_call, "make_mask", without_window)


def sinks_lost(patch: Patch) -> None:
    of = Call.of

    def without(module: Any, q: Any, k: Any, v: Any, options: dict[str, Any]) -> Call:
        return of(module, q, k, v, {**options, "s_aux": None, "sinks": None})

    patch.setattr(Call, "of", without)


def scores_for_weights(patch: Patch) -> None:
    patch.setattr(layer, "softmax", lambda scores, sinks=None: scores)


def window_ignored_by_the_model_itself(patch: Patch) -> None:
    patch.setattr(modeling_mistral, "create_sliding_window_causal_mask", create_causal_mask)


def causal_mask_lost(patch: Patch) -> None:
    patch.setattr(attention_call, "make_mask", lambda **options: None)


def causal_mask_lost_by_the_model_itself(patch: Patch) -> None:
    patch.setattr(modeling_gpt2, "create_causal_mask", lambda *given, **options: None)


def sentences_mixed(patch: Patch) -> None:
    own = record._record

    def first(engine: Any, vectors: Any, norms: Any, sentence: int, *rest: Any) -> Any:
        return own(engine, vectors, norms, 0, *rest)

    patch.setattr(record, "_record", first)


def batch_squeezed(patch: Patch) -> None:
    own = record._record

    def squeezed(engine: Any, vectors: Any, norms: Any, *rest: Any) -> Any:
        if len(norms) > 2:  # two sentences are read as one that is twice as long
            vectors = type(vectors)(*(tensor.roll(1, 0) for tensor in vectors))
        return own(engine, vectors, norms, *rest)

    patch.setattr(record, "_record", squeezed)


def rows_over_heads(patch: Patch) -> None:
    def over_heads(scores: Any, sinks: Any = None) -> Any:
        powers = np.exp(scores - scores.max(axis=0))
        return powers / powers.sum(axis=0)

    patch.setattr(layer, "softmax", over_heads)


def rollout_over_queries(patch: Patch) -> None:
    mixed = Mixed._mixed

    def wrong(self: Mixed, number: int) -> Any:
        numbers = mixed(self, number)
        return numbers / numbers.sum(axis=0)

    patch.setattr(Mixed, "_mixed", wrong)


def rollout_slightly_off(patch: Patch) -> None:
    mixed = Mixed._mixed
    patch.setattr(Mixed, "_mixed", lambda self, number: mixed(self, number) * 1.001)


def padding_let_in(patch: Patch) -> None:
    steps = Encoder.steps
    patch.setattr(Encoder, "steps", lambda self, ids, types, mask: steps(self, ids, types, None))


def padding_let_in_by_transformers(patch: Patch) -> None:
    tensors = Batch.tensors

    def without_mask(self: Batch, *given: Any) -> Any:
        fed = tensors(self, *given)
        return {name: tensor for name, tensor in fed.items() if "mask" not in name}

    patch.setattr(Batch, "tensors", without_mask)


FAULTS: list[tuple[Fault, str, str]] = [
    (head_mask_never_applied, "bert", "ablation"),
    (zeroed_slices_that_are_not_heads, "roberta", "ablation"),
    (head_mask_never_applied_by_transformers, "gpt2", "ablation"),
    (head_mask_never_applied_by_transformers, "t5", "ablation"),
    (zeroed_slices_that_are_not_heads_by_transformers, "mistral", "ablation"),
    (window_ignored, "mistral", "window"),
    (window_ignored, "gemma2", "window"),
    (window_ignored_by_the_model_itself, "mistral", "window"),
    (sinks_lost, "gpt_oss", "rows"),
    (scores_for_weights, "bert", "rows"),
    (scores_for_weights, "t5", "rows"),
    (causal_mask_lost, "gpt2", "mask"),
    (causal_mask_lost_by_the_model_itself, "gpt2", "mask"),
    (sentences_mixed, "bert", "batch"),
    (batch_squeezed, "bert", "batch"),
    (rows_over_heads, "bert", "rows"),
    (rollout_over_queries, "bert", "measures"),
    (padding_let_in, "bert", "batch"),
    (padding_let_in_by_transformers, "albert", "batch"),
]


@pytest.mark.parametrize(
    ("fault", "name", "line"), FAULTS, ids=[f"{fault.__name__}-{name}" for fault, name, _ in FAULTS]
)
def test_a_fault_is_caught_by_the_line_that_names_it(
    folder: Callable[[str], Path], fault: Fault, name: str, line: str
) -> None:
    answer = judged(str(folder(name)), fault)
    assert line in answer.failed, by_result(answer)
    assert not answer.data()["passed"]


def test_ten_kinds_of_faults_are_put_back() -> None:
    kinds = {fault.__name__.partition("_by_")[0] for fault, _, _ in FAULTS}
    assert len(kinds - {"batch_squeezed"}) == 10


SOUND: list[tuple[str, dict[str, Any], set[str]]] = [
    ("bert", {}, {"mask", "window"}),
    ("roberta", {}, {"mask", "window"}),
    ("mpnet", {}, {"mask", "window"}),
    ("gpt2", {}, {"window"}),
    ("mistral", {}, set()),
    ("modernbert", {}, set()),
    ("gpt_oss", {}, set()),
    ("t5", {}, {"mask", "window"}),
    ("bart", {}, {"mask", "window"}),
    ("bart", {"attention": "decoder"}, {"window"}),
    ("t5", {"attention": "cross"}, {"mask", "window"}),
    ("convbert", {}, {"mask", "window", "scores", "z", "output", "ablation"}),
    ("deberta-v2", {}, {"mask", "window", "scores", "z", "output", "ablation"}),
]


@pytest.mark.parametrize(
    ("name", "options", "absent"), SOUND, ids=["-".join((n, *o.values())) for n, o, _ in SOUND]
)
def test_a_sound_model_passes(
    folder: Callable[[str], Path], name: str, options: dict[str, Any], absent: set[str]
) -> None:
    answer = judged(str(folder(name)), **options)
    found = by_result(answer)
    assert (found["failed"], found["not applicable"]) == (set(), absent), answer.lines
    for line in answer.lines:
        applies = line.result == "passed"
        assert applies == (line.largest is not None)
        assert line.told
        assert (line.largest or 0) <= line.limit


@pytest.mark.parametrize("name", ["albert", "bitnet", "dpr", "llama4"])
def test_heads_are_taken_away_where_z_goes_another_way(name: str, tmp_path: Path) -> None:
    # one matrix for all layers, a norm before W_O, a pooled vector first, a head that is always on
    assert save_type(name, tmp_path) is not None
    lines = {line.check: line for line in attnviz.check(str(tmp_path)).lines}
    assert lines["ablation"].result == "passed", lines["ablation"]
    assert lines["ablation"].told.endswith(", and all of them")


def test_a_model_whose_z_is_gated_first_says_that_nothing_is_compared(tmp_path: Path) -> None:
    assert save_type("laguna", tmp_path) is not None
    lines = {line.check: line for line in attnviz.check(str(tmp_path)).lines}
    told = lines["ablation"].result, lines["ablation"].told
    assert told == ("not applicable", "no module of the model takes z as it is")


def test_the_default_model_passes(own_cache: Path) -> None:
    answer = attnviz.check()
    assert by_result(answer)["not applicable"] == {"mask", "window"}
    assert answer.failed == ()
    assert answer.model.name == "minilm"


def test_what_compares_nothing_does_not_pass(folder: Callable[[str], Path]) -> None:
    full = evidence_of(str(folder("mistral")))
    empty: dict[str, Any] = dict.fromkeys(("alone", "sources", "batches", "texts", "own"), ())
    answer = check(replace(full, **empty, without=(), long=None))
    assert by_result(answer)["passed"] == set()
    reasons: dict[str, Any] = dict.fromkeys(("texts", "own", "without", "sees"), "it is not there")
    answer = check(replace(full, **reasons))
    failed, absent = {"tokens", "output", "eager", "ablation"}, {"window"}
    assert by_result(answer)["failed"] == failed
    assert by_result(answer)["not applicable"] == absent
    without = [line.told for line in answer.lines if line.check in failed | absent]
    assert without == ["it is not there"] * 5
    one = check(replace(full, sources=full.sources[:1] * 2))
    assert "batch" in by_result(one)["not applicable"]
    native = evidence_of(str(folder("bert")))
    assert check(replace(native, without="it is not there")).failed == ("ablation",)


def test_the_untrained_model_says_what_does_not_apply() -> None:
    answer = attnviz.check("paper", num_layers=2, num_heads=2, d_model=16, d_ff=8)
    found = by_result(answer)
    assert found["failed"] == set()
    assert found["passed"] == {"rows", "batch", "scores", "z", "measures"}
    lines = {line.check: line for line in answer.lines}
    assert "drawn from its seed" in lines["eager"].told
    assert (lines["tokens"].result, lines["tokens"].limit) == ("not applicable", 0)


def test_tokens_that_autotokenizer_does_not_give_are_a_failure(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(folder("bert"), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "padding_side": "middle"}))
    answer = judged(str(tmp_path))
    assert answer.failed == ("tokens",)
    told = {line.check: line.told for line in answer.lines}["tokens"]
    assert told.startswith("transformers cannot build a tokenizer from the files in ")
    full = evidence_of(str(folder("bert")))
    failing = [text._replace(theirs=None) for text in full.texts if not isinstance(text, str)]
    answer = check(replace(full, texts=(*failing[:1], *full.texts[1:])))
    [line] = [line for line in answer.lines if line.result == "failed"]
    assert line.told.startswith('AutoTokenizer fails on "The animal ')
    refused = [text._replace(ours=None) for text in full.texts if not isinstance(text, str)]
    assert check(replace(full, texts=tuple(refused))).failed == ("tokens",)


@pytest.mark.parametrize("error", [AttnvizError, ValueError])
def test_a_model_that_transformers_alone_cannot_load_is_a_failure(
    folder: Callable[[str], Path], monkeypatch: Patch, error: type[Exception]
) -> None:
    def fails(*given: Any) -> Any:
        raise error("out of order")

    monkeypatch.setattr(Reference, "__init__", fails)
    answer = judged(str(folder("gpt2")))
    assert answer.failed == ("tokens", "output", "eager", "ablation")
    told = {line.check: line.told for line in answer.lines}
    assert {told[name] for name in answer.failed} == {"out of order"}


def test_whatever_fails_around_the_models_own_run_is_a_failure(
    folder: Callable[[str], Path], monkeypatch: Patch
) -> None:
    def fails(*given: Any) -> Any:
        raise KeyError

    monkeypatch.setattr(reference, "_mixing", fails)
    monkeypatch.setattr(Reference, "rounding", fails)
    answer = judged(str(folder("bert")))
    assert answer.failed == ("output", "eager")
    assert {line.told for line in answer.lines if line.check == "eager"} == {"KeyError"}
    monkeypatch.undo()
    monkeypatch.setattr(Reference, "rounding", fails)
    assert judged(str(folder("bert"))).failed == ()


def test_a_model_of_very_short_contexts_is_run_in_padded_batches(tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path, n_positions=7)
    save_library(tmp_path, tiny_tokenizer(), model_input_names=["input_ids", "attention_mask"])
    found = by_result(judged(str(tmp_path)))
    assert (found["failed"], found["not applicable"]) == (set(), {"window"})


def test_the_mask_of_a_window_alone_is_said_to_be_so(folder: Callable[[str], Path]) -> None:
    told = {line.check: line.told for line in judged(str(folder("longformer"))).lines}
    assert told["mask"] == "only the sliding window forbids any"
    told = {line.check: line.told for line in judged(str(folder("bert"))).lines}
    assert told["mask"] == "every token may attend to every other"


def test_a_window_longer_than_the_sentences_gets_a_longer_text(
    tmp_path: Path,
) -> None:
    RECORDED["mistral"].save(tmp_path, sliding_window=70, max_position_embeddings=400)
    save_library(tmp_path, tiny_tokenizer())
    [line] = [line for line in judged(str(tmp_path)).lines if line.check == "window"]
    assert (line.result, line.told) == ("passed", "causal sliding window 70")
    with pytest.MonkeyPatch.context() as patch:  # before it is loaded: that trial is short
        window_ignored(patch)
        answer = attnviz.check(str(tmp_path))
    assert answer.failed == ("window",)
    [line] = [line for line in answer.lines if line.check == "window"]
    assert line.where.startswith("a text of ")


def test_a_window_that_the_model_itself_ignores_is_said_to_be_so(
    folder: Callable[[str], Path],
) -> None:
    answer = judged(str(folder("mistral")), window_ignored_by_the_model_itself)
    assert answer.failed == ("window",)
    [line] = [line for line in answer.lines if line.check == "window"]
    assert line.told.endswith("eager attention goes beyond what config.json names, too")


def test_the_limit_is_not_below_what_the_models_own_rounding_does(
    folder: Callable[[str], Path],
) -> None:
    evidence = evidence_of(str(folder("t5")))
    assert 1e-7 < evidence.rounding < 1e-4
    limits = {line.limit for line in check(replace(evidence, rounding=2**-12)).lines}
    assert limits == {0, 2**-10}
    limits = {line.limit for line in check(replace(evidence, rounding=0.1)).lines}
    assert limits == {0, 1e-3}


def test_half_precision_is_judged_more_coarsely_and_says_so(folder: Callable[[str], Path]) -> None:
    answer = judged(str(folder("bert")), dtype="bfloat16")
    assert answer.failed == ()
    limits = {line.check: line.limit for line in answer.lines}
    assert (limits.pop("tokens"), limits.pop("scores")) == (0, 1e-5)
    assert set(limits.values()) == {0.1}
    answer = judged(str(folder("bert")), rollout_slightly_off, dtype="bfloat16")
    [line] = [line for line in answer.lines if line.result == "failed"]
    assert (line.check, line.limit) == ("measures", 1e-5)
    # all sentences are off by the same part, so rounding decides which of them is off most
    assert re.match(r"sentence \d, rollout of layer \d", line.where)
    assert 1e-4 < (line.largest or 0) < 0.1


# The command


def run(
    capfdbinary: pytest.CaptureFixture[bytes], name: str, **output: Any
) -> tuple[int, bytes, str]:
    capfdbinary.readouterr()  # of what was saved before
    code = exit_code_of(lambda: command(Checked(model=name), Results(**output)))
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def test_a_failure_exits_with_1_and_names_the_lines(
    folder: Callable[[str], Path], capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: Patch
) -> None:
    name = str(folder("bert"))
    code, out, err = run(capfdbinary, name, json=True)
    assert (code, err) == (0, "")
    data = orjson.loads(out)
    jsonschema.validate(data, SCHEMAS["check-1.schema.json"])
    assert data["passed"]
    head_mask_never_applied(monkeypatch)
    code, out, err = run(capfdbinary, name, json=True)
    data = orjson.loads(out)
    jsonschema.validate(data, SCHEMAS["check-1.schema.json"])
    assert (code, data["passed"]) == (1, False)
    failed = [one for one in data["checks"] if one["result"] == "failed"]
    assert [one["check"] for one in failed] == ["ablation"]
    assert failed[0]["largest"] > failed[0]["limit"]
    assert failed[0]["where"].startswith("without L")
    assert err.splitlines() == [
        f"attnviz: 1 of 11 checks failed for {name}: ablation",
        "  do not trust these numbers; a report of it is welcome",
    ]


def test_the_table_has_a_row_for_each_line(
    folder: Callable[[str], Path], capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: Patch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = run(capfdbinary, str(folder("bert")), quiet=True)
    lines = out.decode().splitlines()
    assert (code, err, len(lines)) == (0, "", 14)
    assert lines[1].split() == ["check", "result", "off", "by"]
    assert lines[2].split() == [
        "tokens",
        "passed",
        "0",
        *["as", "AutoTokenizer", "feeds", "them:"],
        *["16", "texts,", "3", "pairs"],
    ]
    assert lines[4].split()[:4] == ["mask", "not", "applicable", "no"]
    assert lines[-1].strip() == "9 of 11 passed, 0 failed, 2 do not apply"
    head_mask_never_applied(monkeypatch)
    code, out, err = run(capfdbinary, str(folder("bert")), quiet=True)
    line = next(line for line in out.decode().splitlines() if line.startswith("ablation"))
    assert "all of them; the limit is 1e-05, at without L" in line
    assert code == 1


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("nowhere", 2, 'there is no model "nowhere"'),
        ("damaged", 1, "model.safetensors"),
    ],
)
def test_bad_models_are_one_sentence(
    folder: Callable[[str], Path],
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: Patch,
    name: str,
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in folder("bert").iterdir():
        content = file.read_bytes()
        half = len(content) // 2 if file.suffix == ".safetensors" else len(content)
        (damaged / file.name).write_bytes(content[:half])
    done = run(capfdbinary, name)
    assert done[:2] == (code, b"")
    assert told in done[2].splitlines()[0]


def test_options_are_those_of_a_model_and_not_of_a_sentence() -> None:
    names = {name for parameter in options_of("check").params for name in parameter.opts}
    shared = {"--device", "--dtype", "--attention", "--target", "--json", "--quiet", "--output"}
    assert shared <= names
    assert not names & {"--save", "--load", "--query", "--key", "--head", "--measure", "--model"}


def test_the_environment_names_the_model(
    folder: Callable[[str], Path], capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: Patch
) -> None:
    monkeypatch.setenv("ATTNVIZ_MODEL", str(folder("roberta")))
    code = exit_code_of(lambda: command(Checked(), Results(json=True)))
    out, _ = capfdbinary.readouterr()
    assert (code, orjson.loads(out)["model"]["family"]) == (0, "roberta")


def test_a_model_in_memory_has_no_files_to_compare_with() -> None:
    with pytest.raises(RequestError, match="the name of a model, and a GPT2Model came"):
        attnviz.check(RECORDED["gpt2"].build())


def test_lines_say_what_is_wrong_with_a_batch_that_does_not_run(
    folder: Callable[[str], Path],
) -> None:
    def broken(patch: Patch) -> None:
        own = record._record

        def fails(engine: Any, vectors: Any, norms: Any, *rest: Any) -> Any:
            if len(norms) > 1:
                raise IndexError("too many indices")
            return own(engine, vectors, norms, *rest)

        patch.setattr(record, "_record", fails)

    answer = judged(str(folder("bert")), broken)
    assert answer.failed == ("batch",)
    [line] = [line for line in answer.lines if line.check == "batch"]
    assert line.told == "batch of sentences 0, 1, 2, 3: too many indices"
