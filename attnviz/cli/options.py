"""The options that commands share, declared once, in groups.

Each group is a dataclass; `command.py` spreads its fields out into options.
"""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnviz.attention.measures import MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.errors import RequestError
from attnviz.models.config import Device, Dtype

if TYPE_CHECKING:
    from attnviz.inspection import Inspection

Format = Literal["table", "json", "jsonl", "csv", "npz"]
AnswerFormat = Literal["table", "json", "jsonl", "csv"]
Form = Literal["table", "json", "jsonl", "csv", "npz", "picture"]
"""What `--format` offers for matrices, for answers, and what a file's suffix may say beside."""

_INPUT, _MODEL, _LOOK, _OUTPUT = "Input", "Model", "What to show", "Output"


def valued(metavar: str, panel: str, help: str) -> Any:
    """An option that takes a value, and shows no default: without it, there is none."""
    return typer.Option(metavar=metavar, rich_help_panel=panel, show_default=False, help=help)


def count(panel: str, help: str) -> Any:
    """An option that takes how many to show, 1 at least."""
    return typer.Option(metavar="K", min=1, rich_help_panel=panel, show_default=False, help=help)


FORMAT: Any = typer.Option(
    "--format",
    "-f",
    rich_help_panel=_OUTPUT,
    show_default=False,
    help="The form of the results: table, unless -o's suffix says another.",
)
"""The option, for groups that differ in the forms there are."""

Truncate = Annotated[
    bool,
    typer.Option(
        "--truncate",
        help="Cut sentences that are too long for the model.",
        rich_help_panel=_INPUT,
    ),
]

TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        rich_help_panel=_MODEL,
        help="Run the code that a model brings along, if it needs that. Read it first.",
    ),
]


@dataclass(frozen=True)
class Source:
    """Which sentences to look into."""

    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="One or more sentences; - reads standard input, one sentence a line. Without: "
            "what is piped in, else the sentence of the last run. After --, one may begin with a "
            "dash.",
            show_default=False,
        ),
    ] = None
    pair: Annotated[
        str | None,
        valued("TEXT", _INPUT, "A second sentence, seen together with the first."),
    ] = None
    load: Annotated[
        Path | None,
        valued("FILE", _INPUT, "A saved inspection in place of TEXT."),
    ] = None
    truncate: Truncate = False
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            rich_help_panel=_INPUT,
            show_default=False,
            help="Look at a text that is too long for the model in windows of its length, one "
            "after the other, each N tokens behind the one before.",
        ),
    ] = None

    def check(self) -> None:
        """RequestError where options came together of which each leaves no sense to the other."""
        if self.stride is None:
            return
        beside = {"--load": self.load, "--pair": self.pair, "--truncate": self.truncate}
        extra = [name for name, value in beside.items() if value]
        if extra:
            raise RequestError(
                f"--stride cuts one text that is too long into windows, and {' and '.join(extra)} "
                "came beside it",
                "give one of the two",
            )


@dataclass(frozen=True)
class ModelChoice:
    """Which model to look with, how it is run, and the shape of the untrained one."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            rich_help_panel=_MODEL,
            help="minilm (the default), paper (the article's Transformer, untrained), a "
            "folder, or org/name\\[@revision] on the hub. Also: ATTNVIZ_MODEL.",
        ),
    ] = None
    device: Annotated[
        Device | None,
        typer.Option(
            rich_help_panel=_MODEL,
            show_default=False,
            help="Where the model runs: auto, the default, takes a GPU where there is one.",
        ),
    ] = None
    dtype: Annotated[
        Dtype | None,
        typer.Option(
            rich_help_panel=_MODEL,
            show_default=False,
            help="What the model computes in: float32, the default, or one of half its size, "
            "whose numbers are coarser.",
        ),
    ] = None
    attention: Annotated[
        AttentionKind | None,
        typer.Option(
            rich_help_panel=_MODEL,
            show_default=False,
            help="Whose attention, in a model with both: the encoder's, the default, the "
            "decoder's, or cross, the decoder's to the encoder's text.",
        ),
    ] = None
    target: Annotated[
        str | None,
        valued(
            "TEXT",
            _MODEL,
            "What the decoder is fed; without, the model writes it, the likeliest token each time.",
        ),
    ] = None
    trust_remote_code: TrustRemoteCode = False
    num_layers: Annotated[
        int | None, typer.Option(help="Layers of paper (6).", rich_help_panel=_MODEL)
    ] = None
    num_heads: Annotated[
        int | None, typer.Option(help="Heads of paper (8).", rich_help_panel=_MODEL)
    ] = None
    d_model: Annotated[
        int | None, typer.Option(help="Width of paper's vectors (512).", rich_help_panel=_MODEL)
    ] = None
    d_ff: Annotated[
        int | None,
        typer.Option(help="Width of paper's feed-forward network (2048).", rich_help_panel=_MODEL),
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Seed of paper's weights (0).", rich_help_panel=_MODEL)
    ] = None

    @property
    def name(self) -> str:
        """The model's name: as given, from the environment, or the default's."""
        return os.environ.get("ATTNVIZ_MODEL") or "minilm" if self.model is None else self.model

    @property
    def options(self) -> dict[str, Any]:
        """What `load_model` takes beside the name; None where it was not given."""
        given = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {name: None if value is False else value for name, value in given.items()}

    @property
    def placed(self) -> dict[str, Any]:
        """The same, on a GPU where there is one and nothing else was asked for."""
        return {**self.options, "device": self.device or "auto"}

    @property
    def chosen(self) -> bool:
        """Whether a model, or how it is run, was asked for in this very command."""
        return self.model is not None or any(n is not None for n in self.options.values())

    @property
    def named(self) -> bool:
        """Whether a model was asked for in this very command, and not only how it is run."""
        how = dict.fromkeys(("device", "dtype", "attention", "target"))
        return replace(self, trust_remote_code=False, **how).chosen

    def again(self, inspection: "Inspection") -> "ModelChoice":
        """The options by which its model is had again, run as it was where they do not say how."""
        facts = inspection.model
        shape = () if facts.trained else ("num_layers", "num_heads", "d_model", "d_ff", "seed")
        known: dict[str, Any] = {name: getattr(facts, name) for name in (*shape, "dtype")}
        if inspection.attention != "encoder":  # the usual one, of models that have an encoder
            known["attention"] = inspection.attention
        known |= {name: value for name, value in self.options.items() if value is not None}
        return replace(self, **known | {"model": facts.name})


@dataclass(frozen=True)
class Look:
    """In which unit to look, and at what."""

    words: Annotated[
        bool,
        typer.Option(
            "--words/--pieces",
            rich_help_panel=_LOOK,
            help="Whole words, or what the tokenizer cut.",
        ),
    ] = True
    special: Annotated[
        bool,
        typer.Option(
            "--special/--no-special",
            rich_help_panel=_LOOK,
            help="Show special tokens such as \\[CLS], or drop them and renormalise.",
        ),
    ] = True
    measure: Annotated[
        MeasureName,
        typer.Option(
            rich_help_panel=_LOOK,
            help="What the numbers are: attention weights; norm, the sizes of what they bring "
            "(Kobayashi et al. 2020); rollout or flow down through the layers, without heads "
            "(Abnar & Zuidema 2020).",
        ),
    ] = "weights"

    window: Annotated[
        str | None,
        valued(
            "START:END",
            _LOOK,
            "Look closely at a part of a long text: the tokens from @START up to @END, which is "
            "behind the last. Either may be left out. Weights stay those of the whole text.",
        ),
    ] = None


@dataclass(frozen=True)
class HeadChoice:
    """Which heads to show."""

    layer: Annotated[
        list[str] | None,
        valued("N", _LOOK, "A layer, from 0; -1 is the last. May repeat."),
    ] = None
    head: Annotated[
        list[str] | None,
        valued("N", _LOOK, "A head, from 0, beside --layer; or 3.1, 3-1, L3H1 alone. May repeat."),
    ] = None


@dataclass(frozen=True)
class Words:
    """Which word to follow."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            _LOOK,
            "Follow WORD as a query: what it looks at. it, it#2 for its second "
            "occurrence, or @10 for the token at index 10.",
        ),
    ] = None
    key: Annotated[
        str | None,
        valued("WORD", _LOOK, "Follow WORD as a key: who looks at it."),
    ] = None


@dataclass(frozen=True)
class Output:
    """Where results go, and what is said beside them."""

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Write to a file; its suffix says in which form.",
        ),
    ] = None
    force: Annotated[
        bool,
        typer.Option(
            "--force", rich_help_panel=_OUTPUT, help="Overwrite files that attnviz did not write."
        ),
    ] = False
    save: Annotated[
        Path | None,
        valued("FILE", _OUTPUT, "Save the inspection, for --load later."),
    ] = None
    quiet: Annotated[
        bool,
        typer.Option("--quiet", rich_help_panel=_OUTPUT, help="No notes on standard error."),
    ] = False


@dataclass(frozen=True)
class DataOutput(Output):
    """In which form matrices go where: tables or data."""

    json: Annotated[
        bool, typer.Option("--json", rich_help_panel=_OUTPUT, help="Short for -f json.")
    ] = False
    format: Annotated[Format | None, FORMAT] = None

    @property
    def file(self) -> Path | None:
        """The file that results go to; None for standard output, which `-o -` means too."""
        return None if self.output == Path("-") else self.output

    @property
    def form(self) -> Form:
        """The form asked for, by option or by the file's suffix; RequestError if they differ."""
        if self.json and self.format not in (None, "json", "jsonl"):
            raise RequestError(f"--json does not go with -f {self.format}", "give one of the two")
        asked: Form | None = "json" if self.json else self.format
        suffix = "" if self.file is None else self.file.suffix.lower()
        named = _BY_SUFFIX.get(suffix)
        if asked and named and asked != named and {asked, named} != {"json", "jsonl"}:
            raise RequestError(
                f"-f {asked} does not go with {self.file}, whose name says {named}",
                "leave out -f, or give the file another suffix",
            )
        return asked or named or "table"


@dataclass(frozen=True)
class AnswerOutput(DataOutput):
    """In which form answers to a question go where, which have no matrices for an NPZ file."""

    format: Annotated[AnswerFormat | None, FORMAT] = None


_BY_SUFFIX: dict[str, Form] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".npz": "npz",
    ".png": "picture",
    ".svg": "picture",
    ".pdf": "picture",
}
