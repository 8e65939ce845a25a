"""The application: commands that are imported when they run, options in groups, exit codes."""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import cycle
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from attnviz.attention.request import LESS_OF_A_TEXT
from attnviz.cli.options import RARE, without_none
from attnviz.cli.output import STDOUT, Notes, complain, fitted, lead_nowhere
from attnviz.errors import MORE_MEMORY, AttnvizError, RequestError, lacks_memory, visible

NARROWEST, WIDEST = 40, 100  # columns of help; longer lines are hard to read

DONE, FAILED, WRONG, HOLDS, INTERRUPTED = 0, 1, 2, 3, 130  # exit codes; WRONG is the request
EXIT_CODES = {
    DONE: "done; also if the reader of a pipe stopped early",
    WRONG: "the request is wrong: an unknown word, a layer out of range, an empty sentence",
    FAILED: "it could not be done: damaged weights, a full disk; or a check failed",
    HOLDS: "a condition of probe --fail-if holds",
    INTERRUPTED: "interrupted with Ctrl-C (SIGINT)",
    129: "ended by SIGHUP",
    143: "ended by SIGTERM",
}

COMMANDS = (
    "run", "heatmap", "lines", "view", "find", "compare", "explain", "why", "ablate", "patch",
    "similar", "predict", "survey", "probe", "check", "memory", "models",
)  # fmt: skip


class WithHelp:
    """Commands whose `--help` is False by default: to read None, Typer would load pydantic."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option `--help`."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        option.default = False
        return option


class Commands(WithHelp, TyperGroup):
    """The commands, each of which is imported when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # the names alone, with which a mistyped one is compared
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        return command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named first, its name, and what follows."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            error.arguments = args  # type: ignore[attr-defined]  # which may be a text
            raise

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options before a command."""
        width = max(min(get_terminal_size().columns, WIDEST), NARROWEST) - 2  # of help
        with _visible_errors():
            return super().make_context(*arguments, terminal_width=width, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read a command's options, and run it."""
        with _visible_errors():
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options before a command, and what each command does."""
        from attnviz.cli.help import write_options, write_rows

        write_options(self.get_params(ctx), ctx, formatter)
        write_rows("Commands", self.described(), formatter)

    def described(self) -> list[tuple[str, str]]:
        """Each command's name, and what it does, in a sentence."""
        return [(name, _paragraphs(function_of(name))[0]) for name in COMMANDS]


class Command(WithHelp, TyperCommand):
    """A command whose help is plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options under their headings."""
        from attnviz.cli.help import write_options

        write_options(self.get_params(ctx), ctx, formatter)


@contextmanager
def _visible_errors() -> Iterator[None]:
    """Typer's own errors too show what was typed as visible text, and what to type instead."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):
            from attnviz.cli.hints import with_hint

            told = visible(with_hint(error, ((name, command(name)) for name in COMMANDS)))
            error.format_message = lambda: fitted(told, "Error: ")
        raise


app = typer.Typer(
    name="attnviz",
    cls=Commands,
    invoke_without_command=True,
    add_completion=False,  # ours also completes words and heads, and quotes them
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See where a Transformer encoder looks: which word attends to which, in which head.",
    epilog=(
        "Attention weights show where a head looks, not why a model decides: "
        "they are a beginning, not an explanation."
    ),
)


def _version() -> str:
    from importlib.metadata import version

    return f"attnviz {version('attnviz')}"


def _spec() -> str:
    import json

    from attnviz.cli.settings import remarks
    from attnviz.cli.spec import spec

    for remark in remarks(forgiving=True):
        Notes(quiet=False).say(remark)
    commands = ((name, command(name), function_of(name)) for name in COMMANDS)
    return json.dumps(spec(commands, EXIT_CODES), ensure_ascii=False)


def _skill() -> str:
    from attnviz.cli.spec import packaged

    return packaged("SKILL.md").read_text(encoding="utf-8").rstrip("\n")


def _install_completion() -> str:
    from attnviz.cli.completion import install, shell_of_caller

    shell = shell_of_caller()
    return f"completion for {shell} is in {install(shell)}, for terminals opened from now on"


def _show_completion() -> str:
    from attnviz.cli.completion import SCRIPTS, shell_of_caller

    return SCRIPTS[shell_of_caller()].rstrip("\n")


def completed(shell: str) -> int:
    """Answer a shell that completes a line; whatever fails, an error would spoil its prompt."""
    from attnviz.cli.completion import answer

    try:
        told = answer(shell, sys.argv[1:], get_command(app))
        typer.echo(told, nl=False)
    except Exception:
        return FAILED
    return DONE if told else FAILED


def _shown(name: str, tell: Callable[[], str], help: str) -> Any:
    """An option that shows something, and ends."""

    def show(wanted: bool) -> None:
        if wanted:
            raise typer.Exit(exit_code_of(lambda: typer.echo(tell())))

    return typer.Option(name, callback=show, is_eager=True, metavar="", help=help)


@app.callback()
def attnviz(
    context: typer.Context,
    show_version: Annotated[bool, _shown("--version", _version, "Show the version.")] = False,
    show_spec: Annotated[
        bool, _shown("--spec", _spec, "Show commands, options, schemas, exit codes, as JSON.")
    ] = False,
    show_skill: Annotated[
        bool, _shown("--skill", _skill, "Show how a program uses attnviz (SKILL.md).")
    ] = False,
    install_completion: Annotated[
        bool,
        _shown(
            "--install-completion",
            _install_completion,
            "Complete commands, options, models, words and heads in this shell.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        _shown("--show-completion", _show_completion, "Show what that installs, to change it."),
    ] = False,
) -> None:
    """See where a Transformer encoder looks: which word attends to which, in which head."""
    if context.invoked_subcommand is None:  # the help, but nobody asked for it as a result
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(WRONG)


def function_of(name: str) -> Callable[..., None]:
    """What a command does, with its groups of options as parameters."""
    function: Callable[..., None] = getattr(import_module(f"attnviz.cli.{name}"), name)
    return function


def command(name: str) -> Any:
    """The command of that name, from the function of that name in the module of that name."""
    function = function_of(name)
    single = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    flat = _flat(function)
    single.command(name, cls=Command, help="\n\n".join(_paragraphs(function)))(flat)
    made = get_command(single)
    for parameter in made.params:
        _read_here(parameter, flat.__annotations__[parameter.name])
    return made


def _paragraphs(function: Callable[..., None]) -> list[str]:
    """What a command says of itself, without the lines of the source: the terminal breaks them."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return [" ".join(paragraph.splitlines()) for paragraph in paragraphs]


def _read_here(parameter: Any, annotation: Any) -> None:
    """Have a parameter's value read as it is annotated, not by pydantic; None if it is left out."""
    kind, info = without_none(get_args(annotation)[0]), get_args(annotation)[1]
    parameter.help = info.help  # which click 8.5 takes from arguments of typer before 0.26
    parts: tuple[Any, ...] = get_args(kind) if get_origin(kind) in (list, tuple) else ()

    def read(context: Any, given: Any) -> Any:
        if given is None or isinstance(given, bool):
            return given
        try:
            if not parts:
                return _read(kind, given, info.min)
            return [_read(part, each) for part, each in zip(cycle(parts), given)]
        except ValueError as error:
            raise typer.BadParameter(str(error), context, parameter) from None

    parameter.process_value = read


def _read(kind: Any, given: Any, least: int | None = None) -> Any:
    """A value from its text; ValueError says what was expected."""
    if get_origin(kind) is Literal:
        names = get_args(kind)
        if given not in names:
            raise ValueError(f"{given!r} is not one of {', '.join(map(repr, names))}.")
    elif kind is int and not isinstance(given, int):
        try:
            given = int(given)
        except ValueError:
            raise ValueError("it should be a valid integer") from None
    if least is not None and given < least:
        raise ValueError(f"it should be greater than or equal to {least}")
    return Path(given) if kind is Path else given


def _flat(function: Callable[..., None]) -> Callable[..., None]:
    """The function with one parameter an option, as Typer wants it; errors become exit codes."""
    groups = get_type_hints(function)
    groups.pop("return", None)

    def run(context: typer.Context, values: dict[str, Any]) -> None:
        from attnviz.cli.settings import FLAGS, remarks, settings

        forgiving = any(getattr(group, "forgiving", False) for group in groups.values())
        for name, setting in settings(forgiving).items():  # all are checked, needed or not
            if name in FLAGS and name in values and _is_default(context, name):
                values[name] = setting.value
        notes = Notes(values["quiet"])
        for remark in remarks(forgiving):
            notes.say(remark)
        gathered = {
            name: group(**{field.name: values[field.name] for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        function(**gathered)

    @functools.wraps(function)
    def flat(context: typer.Context, **values: Any) -> None:
        code = exit_code_of(lambda: run(context, values))
        if code:
            raise typer.Exit(code)

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
        )
        for group in groups.values()
        for field in dataclasses.fields(group)
    ]
    parameters.sort(key=_is_rare)  # the order stays otherwise
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters.insert(0, context)
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {p.name: p.annotation for p in parameters}
    return flat


def _is_default(context: typer.Context, name: str) -> bool:
    """Whether no option says it."""
    source = context.get_parameter_source(name)
    return source is None or source.name == "DEFAULT"


def _is_rare(parameter: inspect.Parameter) -> bool:
    options = parameter.annotation.__metadata__
    return any(getattr(option, "rich_help_panel", None) == RARE for option in options)


def exit_code_of(action: Callable[[], None]) -> int:
    """Do it, report what went wrong in words, and return the exit code."""
    try:
        return _do(action)
    except AttnvizError as error:
        complain(error)
        return WRONG if isinstance(error, RequestError) else FAILED
    except BrokenPipeError:
        lead_nowhere(STDOUT)
        return DONE
    except OSError as error:
        if error.filename is None:  # a standard stream, not a file
            lead_nowhere(STDOUT)
        from attnviz.cli.hints import disk_error

        complain(disk_error(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if lacks_memory(error):
            hint = LESS_OF_A_TEXT if isinstance(error, MemoryError) else MORE_MEMORY
            complain(AttnvizError("there is not enough memory", hint))
            return FAILED
        from attnviz.cli.hints import import_error

        told = import_error(error)
        if told is None:
            raise
        complain(told)
        return FAILED


def _do(action: Callable[[], None]) -> int:
    """Do it, flush what it wrote, and return the code that it exits with."""
    code: str | int | None = DONE
    try:
        action()
    except SystemExit as leaving:
        # rich and Typer exit with 1 when the reader of a pipe has closed it
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        code = leaving.code
    if sys.stdout is not None:
        sys.stdout.flush()
    return code if isinstance(code, int) else DONE
