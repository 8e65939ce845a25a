"""The options that commands share, declared once, in groups, which `app.py` spreads out."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import typer

from attnviz.attention.measures import MeasureName
from attnviz.attention.request import AttentionKind, Device, Dtype
from attnviz.cli.settings import setting, settings
from attnviz.errors import RequestError
from attnviz.show.forms import PICTURES, SUFFIXES, Form, Language, Limits, Style

INPUT, MODEL, SHOW, OUTPUT, RARE = "Input", "Model", "What to show", "Output", "Rare"

# older versions of Typer name in errors even a variable that is not there
_PLAIN: Any = {"show_default": False, "show_envvar": False}


def argument(metavar: str, help: str) -> Any:
    """What is given without an option's name."""
    return typer.Argument(metavar=metavar, help=help, **_PLAIN)


def valued(metavar: str, panel: str, help: str, *names: str) -> Any:
    """An option that takes a value."""
    return typer.Option(*names, metavar=metavar, rich_help_panel=panel, help=help, **_PLAIN)


def flag(names: str, panel: str, help: str) -> Any:
    """An option that is there or not."""
    return typer.Option(names, metavar="", rich_help_panel=panel, help=help, **_PLAIN)


def count(help: str, metavar: str = "K", panel: str = SHOW) -> Any:
    """`--top`, how many to show, and other numbers from 1."""
    return typer.Option(metavar=metavar, min=1, rich_help_panel=panel, help=help, **_PLAIN)


def without_none(kind: Any) -> Any:
    """The type of an option that is given."""
    if get_origin(kind) in (UnionType, Union):
        [kind] = [part for part in get_args(kind) if part is not type(None)]
    return kind


FOUNDING_EXAMPLE = "The animal didn't cross the street because it was too tired."

Pretokenized = Annotated[
    bool,
    flag("--pretokenized", INPUT, "TEXT is words: blanks between, or a JSON list."),
]

Truncate = Annotated[bool, flag("--truncate", RARE, "Cut a text that is too long.")]

TrustRemoteCode = Annotated[
    bool, flag("--trust-remote-code", RARE, "Run the model's code. Read it first.")
]

FromMemory = Annotated[
    str | None, valued("NAME", INPUT, "A sentence kept with --as, in place of TEXT.", "--from")
]

Replacement = Annotated[
    Literal["zero", "mean"],
    valued(
        "NAME",
        SHOW,
        "What replaces the head's output: zero (the default), or its mean over the sentence.",
        "--with",
    ),
]

AsWords = Annotated[bool, flag("--words/--pieces", SHOW, "Words (the default), or pieces.")]


@dataclass(frozen=True)
class Source:
    """Which texts to look into."""

    text: Annotated[
        list[str] | None,
        argument(
            "TEXT",
            "One or more sentences, or - to read them from standard input, one a line. "
            "Without TEXT: what is piped in, or else the last sentence. After --, a sentence may "
            "begin with a dash.",
        ),
    ] = None
    pair: Annotated[
        str | None, valued("TEXT", INPUT, "A second sentence, read together with the first.")
    ] = None
    load: Annotated[Path | None, valued("FILE", INPUT, "A saved inspection in place of TEXT.")] = (
        None
    )
    pretokenized: Pretokenized = False
    kept: FromMemory = None
    truncate: Truncate = False
    stride: Annotated[
        int | None,
        count("Cut a text that is too long into windows, N tokens apart.", "N", RARE),
    ] = None

    def check(self) -> None:
        """Raise RequestError for options that exclude each other."""
        if self.load and self.pretokenized:
            raise RequestError(
                "--load brings a sentence with its words, and --pretokenized came beside it",
                "give one of the two",
            )
        if self.stride is None:
            return
        others = {
            "--load": self.load,
            "--from": self.kept,
            "--pair": self.pair,
            "--truncate": self.truncate,
        }
        extra = [name for name, value in others.items() if value]
        if extra:
            what = "--stride cuts one long text into windows, and does not go with "
            raise RequestError(what + " and ".join(extra), "give one of the two")


@dataclass(frozen=True)
class ModelChoice:
    """Which model to use, how it is run, and the shape of the untrained one."""

    model: Annotated[
        str | None,
        valued(
            "NAME",
            MODEL,
            "minilm (the default), e5 (multilingual), paper (untrained), a folder, or "
            "org/name[@revision] on the hub. Or set ATTNVIZ_MODEL.",
            "--model",
            "-m",
        ),
    ] = None
    device: Annotated[
        Device | None, valued("NAME", RARE, "auto (the default), cpu, cuda or mps.")
    ] = None
    dtype: Annotated[
        Dtype | None, valued("NAME", RARE, "float32 (default), bfloat16, float16.")
    ] = None
    attention: Annotated[
        AttentionKind | None, valued("NAME", RARE, "encoder, decoder or cross: whose attention.")
    ] = None
    target: Annotated[
        str | None, valued("TEXT", RARE, "The decoder's text. Without: the model writes it.")
    ] = None
    trust_remote_code: TrustRemoteCode = False
    num_layers: Annotated[int | None, valued("N", RARE, "Layers of paper (6).")] = None
    num_heads: Annotated[int | None, valued("N", RARE, "Heads of paper (8).")] = None
    d_model: Annotated[int | None, valued("N", RARE, "d_model of paper (512).")] = None
    d_ff: Annotated[int | None, valued("N", RARE, "d_ff of paper (2048).")] = None
    seed: Annotated[int | None, valued("N", RARE, "Seed of random weights (0).")] = None

    @property
    def name(self) -> str:
        """The model's name: the option, or what the settings say."""
        return str(setting("model")) if self.model is None else self.model

    @property
    def place(self) -> Device:
        """The device that a model runs on: the option, or what the settings say."""
        device: Device = self.device or setting("device")
        return device

    @property
    def options(self) -> dict[str, Any]:
        """What `load_model` takes beside the name; None where an option was not given."""
        given = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return {name: None if value is False else value for name, value in given.items()}

    @property
    def chosen(self) -> bool:
        """Whether the command line names a model, or how it is run."""
        return self.model is not None or any(n is not None for n in self.options.values())

    @property
    def named(self) -> bool:
        """Whether the command line names a model, and not only how it is run."""
        how = dict.fromkeys(("device", "dtype", "attention", "target"))
        return replace(self, trust_remote_code=False, **how).chosen

    def like(self, name: str, options: dict[str, Any]) -> "ModelChoice":
        """That model, run with those options, except for the options given here."""
        own = {name: value for name, value in self.options.items() if value is not None}
        made = {**vars(self), **options, **own, "model": name}
        return UntrainedChoice(**made) if made.pop("untrained", False) else ModelChoice(**made)


@dataclass(frozen=True)
class UntrainedChoice(ModelChoice):
    """The same model with weights drawn at random, from the seed."""

    @property
    def options(self) -> dict[str, Any]:
        """As those of ModelChoice, and that the model is untrained."""
        return super().options | {"untrained": True}


@dataclass(frozen=True)
class TokenLook:
    """Words or pieces, with or without special tokens."""

    words: AsWords = True
    special: Annotated[
        bool,
        flag(
            "--special/--no-special",
            SHOW,
            "With [CLS] and the like (the default), or rows of the rest, which sum to 1.",
        ),
    ] = True
    window: Annotated[str | None, valued("A:B", RARE, "The tokens from @A up to before @B.")] = None


@dataclass(frozen=True)
class Look(TokenLook):
    """The same, in which measure."""

    measure: Annotated[
        MeasureName,
        valued(
            "NAME",
            SHOW,
            "weights (the default), norm (how large the weighted values are), rollout or flow "
            "(through all layers below).",
        ),
    ] = "weights"


@dataclass(frozen=True)
class HeadChoice:
    """Which heads to show."""

    layer: Annotated[list[str] | None, valued("N", SHOW, "Layers, from 0; -1 is the last.")] = None
    head: Annotated[
        list[str] | None,
        valued("N", SHOW, "A head, from 0, beside --layer; or L3H1, 3.1, 3-1. May repeat."),
    ] = None


@dataclass(frozen=True)
class Words:
    """Which word to follow."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            "What WORD looks at: it, it#2 (its second occurrence), or @10 (the token at index 10).",
        ),
    ] = None
    key: Annotated[str | None, valued("WORD", SHOW, "Which words look at WORD.")] = None


@dataclass(frozen=True)
class Results:
    """Where results go, in which form, and what is said beside them."""

    usual: ClassVar[Form] = "table"
    forgiving: ClassVar[bool] = False  # of a broken file of settings

    output: Annotated[
        Path | None,
        valued(
            "FILE",
            OUTPUT,
            "Write to FILE, in the form that its suffix says; - is standard output.",
            "--output",
            "-o",
        ),
    ] = None
    format: Annotated[
        Form | None,
        valued(
            "FORM",
            OUTPUT,
            "table, json, jsonl, csv, tsv, parquet, md, npz, png, svg, pdf or html.",
            "--format",
            "-f",
        ),
    ] = None
    json: Annotated[bool, flag("--json", OUTPUT, "The same as -f json.")] = False
    force: Annotated[
        bool, flag("--force", OUTPUT, "Overwrite a file that attnviz did not write.")
    ] = False
    quiet: Annotated[bool, flag("--quiet", OUTPUT, "No notes on standard error.")] = False

    @property
    def save(self) -> Path | None:
        """The file that keeps the inspection; None where there is none."""
        return None

    @property
    def keep(self) -> str | None:
        """The name under which the inspection is kept; None where there is none."""
        return None

    @property
    def limits(self) -> Limits | None:
        """The numbers of a picture's first and last colour, where they are asked for."""
        return None

    @property
    def style(self) -> Style | None:
        """How pictures look, where that is asked for."""
        return None

    @property
    def open(self) -> bool:
        """Whether pictures are opened with the system's viewer."""
        return False

    @property
    def inline(self) -> bool:
        """Whether pictures are shown in the terminal."""
        return False

    @property
    def language(self) -> Language | None:
        """The language of a page, where one is asked for."""
        language: Language | None = setting("lang")
        return language

    @property
    def shows(self) -> Literal["tour"] | None:
        """What a page shows first, where that is asked for."""
        return None

    @property
    def each(self) -> bool:
        """Whether each head has a picture of its own."""
        return False

    def file_of(self, answer: object) -> Path | None:
        """The file that one answer goes to; None where it gets a name of its own."""
        return self.file

    @property
    def to_stdout(self) -> bool:
        """Whether `-o -` names standard output."""
        return self.output == Path("-")

    @property
    def file(self) -> Path | None:
        """The file that results go to; None for standard output."""
        return None if self.to_stdout else self.output

    @property
    def form(self) -> Form:
        """The form asked for by option or suffix; RequestError if they differ or mean nothing."""
        if self.json and self.format not in (None, "json", "jsonl"):
            raise RequestError(f"--json does not go with -f {self.format}", "give one of the two")
        asked: Form | None = self.format or ("json" if self.json else None)
        suffix = "" if self.file is None else self.file.suffix.lower()
        named = SUFFIXES.get(suffix)
        if asked and named and asked != named and {asked, named} != {"json", "jsonl"}:
            raise RequestError(
                f"-f {asked} does not go with {self.file}, whose name says {named}",
                "leave out -f, or give the file another suffix",
            )
        if suffix and not asked and not named:
            from difflib import get_close_matches

            near = "".join(get_close_matches(suffix, SUFFIXES, 1))
            raise RequestError(
                f"-o {self.file} ends in {suffix}, which is not the suffix of a form",
                (f"did you mean {near}? " if near else "")
                + f"end it in {', '.join(SUFFIXES)}, or name the form with -f",
            )
        return asked or named or self._preferred

    @property
    def _preferred(self) -> Form:
        """What the settings say, if that and the usual form are both pictures, or both are not."""
        if self.open or self.inline:
            return "png"
        form: Form | None = settings(self.forgiving)["format"].value
        return form if form and (form in PICTURES) == (self.usual in PICTURES) else self.usual


@dataclass(frozen=True)
class Output(Results):
    """The same, of a sentence, whose inspection can be kept."""

    save: Annotated[Path | None, valued("FILE", OUTPUT, "Keep the inspection, for --load.")] = None
    keep: Annotated[
        str | None, valued("NAME", OUTPUT, "Keep it under a name, for --from.", "--as")
    ] = None
