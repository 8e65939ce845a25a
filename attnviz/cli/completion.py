"""Completion in bash, zsh and fish: what fits the word at the cursor, without numpy.

The shell's function (`SCRIPTS`) runs attnviz with `_ATTNVIZ_COMPLETE` set to the shell's name. It
reads a line that says what comes, `files`, `folders` or `words`, and then the words, one a line; in
zsh and fish each with a tab and what it means. zsh and fish quote what they insert, bash does not.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from attnviz.cli.options import without_none
from attnviz.cli.output import beginning
from attnviz.cli.settings import setting
from attnviz.errors import AttnvizError, RequestError, visible
from attnviz.files import whole_file
from attnviz.inspection.memory import LAST, remembered
from attnviz.text.spans import folded, word_spans
from attnviz.text.tokens import Tokens

Kind = Literal["files", "folders", "words"]
Choice = tuple[str, str]  # a word, and what it means

LARGEST_HEADER = 1 << 26  # bytes; that of any remembered inspection is smaller
MOST_HEADS = 1 << 16  # more than any model has, in all layers
BUILT_IN = {
    "minilm": "the default",
    "e5": "multilingual",
    "paper": "the article's encoder, untrained",
}

SCRIPTS = {
    "bash": """\
_attnviz() {
    local what word
    COMPREPLY=()
    {
        IFS= read -r what
        while IFS= read -r word; do COMPREPLY+=("$word"); done
    } < <(_ATTNVIZ_COMPLETE=bash command "${1/#\\~/$HOME}" \\
        "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2> /dev/null < /dev/null)
    case $what in
        files) compopt -o default ;;
        folders) ((${#COMPREPLY[@]})) && compopt -o plusdirs || compopt -o default ;;
    esac
}
complete -F _attnviz attnviz
""",
    "zsh": """\
#compdef attnviz
_attnviz() {
    local -a answer values shown
    local line
    answer=("${(@f)$(_ATTNVIZ_COMPLETE=zsh command attnviz \\
        "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null < /dev/null)}")
    for line in "${(@)answer[2,-1]}"; do
        values+=("${line%%$'\\t'*}")
        shown+=("${line/$'\\t'/  -- }")
    done
    if [[ $answer[2] == *$'\\t'* ]]; then
        compadd -l -d shown -a values
    else
        compadd -a values
    fi
    compset -P '--*='
    case $answer[1] in
        files) _files ;;
        folders) _files -/ ;;
    esac
}
if [[ $funcstack[1] == _attnviz ]]; then _attnviz "$@"; else compdef _attnviz attnviz; fi
""",
    "fish": """\
function __attnviz_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string replace -r '^["\\']' '' | string collect)
    set -l answer (env _ATTNVIZ_COMPLETE=fish attnviz $words[2..-1] "$current" \\
        2> /dev/null < /dev/null)
    printf '%s\\n' $answer[2..-1]
    switch "$answer[1]"
        case files
            set -l token (commandline -ct)
            complete -C "no-such-command $token"
        case folders
            __fish_complete_directories
    end
end
complete -c attnviz -f -a '(__attnviz_complete)'
""",
}
"""What each shell needs to know."""


class Line(NamedTuple):
    """A line up to the cursor: its whole words, and the one that is being typed.

    bash replaces that from `start` on, in a `quote` if one is open.
    """

    words: list[str]
    current: str
    start: int = 0
    quote: str = ""

    @classmethod
    def of_bash(cls, text: str, breaks: str) -> "Line":
        """A line as it is typed; bash also begins a new word at each of the `breaks`."""
        words, current, started, start, quote = list[str](), "", False, 0, ""
        letters = iter(text)
        for letter in letters:
            if letter == "\\" and quote != "'":
                following = next(letters, "")
                current += following if not quote or following in '"\\$`' else letter + following
                started = True
            elif letter == quote or (not quote and letter in "\"'"):
                quote, start, started = "" if quote else letter, len(current), True
            elif not quote and letter.isspace():
                if started:
                    words.append(current)
                current, started, start = "", False, 0
            else:
                current, started = current + letter, True
                start = len(current) if not quote and letter in breaks else start
        while words and re.match(r"\w+=", words[0]):  # variables before the command
            del words[0]
        return cls(words[1:], current, start, quote)

    def typed(self, word: str) -> str:
        """A word as bash is to insert it."""
        if self.quote == "'":
            word = word.replace("'", "'\\''")
        rest = word[self.start :]
        if self.quote != "'":
            rest = re.sub(
                r'["\\$`]' if self.quote else r"[^\w@%+=:,./\x80-\U0010ffff-]", r"\\\g<0>", rest
            )
        if self.quote == '"':  # where bash would read its history at a !, even after a backslash
            rest = re.sub("!(?=.)", r'"\!"', rest)
        # a quote that comes first would be taken for the one that is typed already
        return self.quote + rest if self.quote and rest.startswith(self.quote) else rest


def answer(shell: str, given: Sequence[str], root: Any) -> str:
    """What the shell's function reads; an empty text for a shell that is not known.

    `given` are its arguments; `root` has the commands, and the options that come before one.
    """
    if shell == "bash" and len(given) == 2:
        line = Line.of_bash(*given)
    elif shell in SCRIPTS and given:
        line = Line(list(given[:-1]), given[-1])
    else:
        return ""
    kind, choices = Completion(line, root).fitting()
    choices = [(a, visible(b)) for a, b in dict(choices).items() if visible(a) == a]
    if shell == "bash":
        told = [line.typed(word) for word, _ in choices]
    else:
        told = ["\t".join(filter(None, one)) for one in choices]
    return "\n".join([kind, *told]) + "\n"


class Completion:
    """What may stand at the cursor of a line."""

    def __init__(self, line: Line, root: Any) -> None:
        self._line, self._current, self._root = line, line.current, root
        names = (word for word in line.words if not word.startswith("-"))
        self._command = root.get_command(None, next(names, ""))
        self._given = dict[str, list[str]]()  # values by the name of their parameter
        self._open: Any = None  # the option whose value is being typed
        self._only_texts = False  # after --
        if self._command is not None:
            self._read(iter(line.words[line.words.index(self._command.name) + 1 :]))

    def _read(self, words: Iterator[str]) -> None:
        """Gather the values that options and arguments have already."""
        for word in words:
            if word == "--" and not self._only_texts:
                self._only_texts = True
            elif not word.startswith("-") or word == "-" or self._only_texts:
                self._given.setdefault("", []).append(word)
            else:
                name, sign, value = word.partition("=")
                option = self._option(name)
                if option is None or option.is_flag:
                    self._given[option.name if option else name] = [name]
                    continue
                values = [value] if sign else list(islice(words, option.nargs))
                self._given.setdefault(option.name, []).extend(values)
                self._open = option if len(values) < option.nargs else None

    def _option(self, name: str) -> Any:
        options = self._command.params
        return next((o for o in options if name in (*o.opts, *o.secondary_opts)), None)

    def fitting(self) -> tuple[Kind, list[Choice]]:
        """What comes, and those words that begin as what is typed."""
        kind, choices = self._choices()
        return kind, [one for one in choices if one[0].startswith(self._current)]

    def _choices(self) -> tuple[Kind, Iterable[Choice]]:
        name, sign, _ = self._current.partition("=")
        if self._command is None:
            if self._current.startswith("-"):
                return "words", self._options(self._root)
            return "words", [] if self._line.words else self._root.described()
        if self._open is not None:
            return self._values(self._open)
        if self._current.startswith("-") and not self._only_texts:
            option = self._option(name) if sign else None
            if option is None:
                return "words", self._options(self._command)
            kind, choices = self._values(option)
            return kind, [(f"{name}={word}", meaning) for word, meaning in choices]
        arguments = [one for one in self._command.params if one.param_type_name == "argument"]
        return self._values(arguments[0]) if arguments else ("words", [])

    def _options(self, command: Any) -> Iterator[Choice]:
        """The options of a command, but those that are given and may not be repeated."""
        for one in command.params:
            repeats = getattr(one, "multiple", False)
            if one.param_type_name == "option" and (repeats or one.name not in self._given):
                for name in (*one.opts, *one.secondary_opts):
                    yield name, one.help
        yield "--help", "Show this message and exit."

    def _values(self, parameter: Any) -> tuple[Kind, Iterable[Choice]]:
        """What an option, or an argument, takes."""
        kinds = self._command.callback.__annotations__  # as they are declared, says Typer
        kind = without_none(get_args(kinds[parameter.name])[0])
        own: dict[str, Callable[[], Iterable[Choice]]] = {
            "kept": self._names, "keep": self._names, "forget": self._names,
            "query": partial(self._words, "tokens"), "key": partial(self._words, "keys"),
            "rows": partial(self._words, "tokens"), "layer": self._layers, "head": self._heads,
        }  # fmt: skip
        if parameter.name in ("model", "models", "name"):
            return "folders", self._models()
        if parameter.name in own:
            return "words", own[parameter.name]()
        if kind is Path or Path in get_args(kind) or parameter.name in ("files", "mean_of"):
            return "files", []
        names = get_args(kind) if get_origin(kind) is Literal else ()
        return "words", [(name, "") for name in names]

    def _names(self) -> Iterator[Choice]:
        for name, facts in self._remembered.items():
            yield name, beginning(facts["tokens"]["text"])

    def _models(self) -> Iterator[Choice]:
        yield from BUILT_IN.items()
        for name in (*_cached(), *(one["model"]["name"] for one in self._remembered.values())):
            yield name, BUILT_IN.get(name, "")

    def _layers(self) -> Iterator[Choice]:
        for layer in range(self._sizes[0]):
            yield str(layer), ""

    def _heads(self) -> Iterator[Choice]:
        layers, heads = self._sizes
        if self._given.get("layer"):
            yield from ((str(head), "") for head in range(heads))
            return
        named = "{}.{}" if self._current[:1].isdigit() else "L{}H{}"
        for layer in range(layers):
            yield from ((named.format(layer, head), "") for head in range(heads))

    def _words(self, role: str) -> Iterator[Choice]:
        """The words that --query or --key can name; `@10` if that is how it begins."""
        counted, first = Counter[str](), dict[str, str]()
        for index, (label, place) in enumerate(self._labels(role)):
            name = folded(label)
            counted[name] += 1
            first.setdefault(name, place)
            if self._current.startswith("@"):
                yield from [(f"@{index}", label)] if place else []
                continue
            yield label, first[name]
            if counted[name] > 1:
                yield f"{label}#{counted[name]}", place

    def _labels(self, role: str) -> list[tuple[str, str]]:
        """What a text's words are called, and their places; of a text not seen yet, no places."""
        texts = [*self._given.get("", ()), *self._given.get("pair", ())]
        if texts:
            return [(text[a:b], "") for text in texts for a, b in word_spans(text)]
        if self._about is None:
            return []
        facts = self._about.get(role) or self._about["tokens"]
        fields = {name: _frozen(value) for name, value in facts.items() if name != "part"}
        tokens = Tokens(**fields).unit(
            "piece" if self._given.get("words") == ["--pieces"] else "word"
        )
        return [(token.label, f"@{token.index}") for token in tokens if token.label.strip()]

    @cached_property
    def _about(self) -> Any:
        """What the file says that the command is about: loaded, kept, or the last sentence."""
        if loaded := self._given.get("load"):
            return next(_facts([Path(loaded[-1])]), None)
        return self._remembered.get(*self._given.get("kept", [LAST])[-1:])

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """How many layers and heads the model has, if anything is remembered of it."""
        name = self._given.get("model", [None])[-1]
        about = None if self._given.get("") else self._about
        if about is None and name is None:
            name = setting("model")
        known = [about] if about else [*self._remembered.values()]
        for model in (one["model"] for one in known):
            if name in (None, model["name"]):
                return model["num_layers"], model["num_heads"]
        return 0, 0

    @cached_property
    def _remembered(self) -> dict[str, Any]:
        """What the files say of all that is remembered, by name."""
        found = {}
        with suppress(AttnvizError):
            for name, path in remembered().items():
                for facts in _facts([path]):
                    found[name] = facts
        return found


def _facts(paths: Iterable[Path]) -> Iterator[Any]:
    """What saved inspections say of their tokens and models; not of those that are damaged."""
    for path in filter(Path.is_file, paths):  # to read a pipe would wait
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            with path.open("rb") as file:
                size = min(int.from_bytes(file.read(8), "little"), LARGEST_HEADER)
                facts = json.loads(json.loads(file.read(size))["__metadata__"]["attnviz"])
            text, model = facts["tokens"]["text"], facts["model"]
            named = isinstance(text, str) and isinstance(model["name"], str)
            if named and 0 < model["num_layers"] * model["num_heads"] <= MOST_HEADS:
                yield facts


def _frozen(value: Any) -> Any:
    """Turn JSON's lists into the tuples that Tokens holds."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _cached() -> Iterator[str]:
    """The models in the hub's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    home = Path(os.environ.get("HF_HOME") or cache).expanduser()
    folder = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    for found in sorted(folder.glob("models--*/snapshots/*/config.json")):
        yield found.parts[-4].removeprefix("models--").replace("--", "/")


def shell_of_caller() -> str:
    """The shell that called attnviz, or else the user's; RequestError if it is not known."""
    names = [Path(os.environ.get("SHELL", "")).name]
    with suppress(OSError):
        names.insert(0, Path(f"/proc/{os.getppid()}/comm").read_text().strip())
    for name in names:
        if name in SCRIPTS:
            return name
    raise RequestError(
        f"there is completion for {', '.join(SCRIPTS)}, and this shell is none of them",
        "start one of these, and ask there",
    )


def install(shell: str) -> Path:
    """Put the shell's function where it is read when a shell starts; the path of its file."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = {
        "bash": home / ".bash_completions/attnviz.sh",
        "zsh": home / ".zfunc/_attnviz",
        "fish": config / "fish/completions/attnviz.fish",
    }[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(SCRIPTS[shell].encode())
    lines = {
        "bash": (".bashrc", f"source '{path}'"),
        "zsh": (".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    }
    if shell in lines:
        name, line = lines[shell]
        before = (home / name).read_bytes() if (home / name).is_file() else b""
        if line.encode() not in before:
            with (home / name).open("ab") as stream:
                stream.write(f"\n{line}\n".encode())
    return path
