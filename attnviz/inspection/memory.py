"""The inspections that attnviz remembers: the last of each terminal, and those kept by name.

They lie in the cache folder, readable by the user alone: `last.safetensors`, and `B.safetensors`
after a comparison, of commands without a terminal; `last-1a2b3c4d.safetensors` of those in one; and
`kept-NAME.safetensors` of what `--as NAME` keeps.
"""

import os
import re
import time
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.attention.request import KEPT_BYTES
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import cache_folder, is_own_file, make_own_folder, whole_file

if TYPE_CHECKING:
    from attnviz.inspection import Inspection

MEMORY_LIMIT = KEPT_BYTES  # the largest size of a remembered inspection's file, in bytes
MOST_LAST, LAST_LIMIT = 40, 500_000_000  # of terminals, so many files stay, and so many bytes
OLDEST, HALF_WRITTEN = 30 * 24 * 3600, 3600  # for so many seconds; and what a killed process left
MOST_KEPT, KEPT_LIMIT = 100, 1_000_000_000  # by name, so many can be kept, and so many bytes
LAST, OTHER = "last", "B"
"""The names of a terminal's own: the last sentence, or A of the last comparison; and its B."""

SCRIPTS = "scripts"  # what stands for the terminal of commands that have none
LISTED = "attnviz memory lists what is remembered"

_NAME = re.compile(r"[^\W_][\w.-]{0,63}")
_OF_TERMINALS = re.compile(rf"({LAST}|{OTHER})(?:-([0-9a-f]{{8}}|{SCRIPTS}))?")
_HALF = re.compile(r"\.[0-9a-f]{12}$")  # how `whole_file` ends the name of a file half-written
_KEPT, _SUFFIX = "kept-", ".safetensors"


def remember(inspection: "Inspection", other: "Inspection | None" = None) -> bool:
    """Keep an inspection as this terminal's last, and the `other` it was compared with, if any.

    False if it is too large. Files of terminals that are many, or long gone, are removed.
    """
    if is_off():
        return True
    pair = {LAST: inspection, OTHER: other}
    content = {name: _content(one) for name, one in pair.items() if one is not None}
    if None in content.values():
        return False
    for name in pair:
        if data := content.get(name):
            _write(_own(name), data)
        else:
            _own(name).unlink(missing_ok=True)
    _tidy()
    return True


def keep(inspection: "Inspection", name: str) -> None:
    """Keep an inspection under a name, for good; RequestError if it can be no name.

    AttnvizError if it is too large, or too many are kept.
    """
    path, content = kept_path(name), _content(inspection)
    if content is None:
        limit = f"{MEMORY_LIMIT // 1_000_000} MB"
        raise AttnvizError(f"too large to be kept (over {limit})", "--save FILE keeps it")
    others = [file for file in _files() if is_kept(file) and file != path]
    size = sum(file.lstat().st_size for file in others) + len(content)
    if len(others) >= MOST_KEPT or size > KEPT_LIMIT:
        raise AttnvizError(
            f"{len(others)} inspections are kept, and there is room for {MOST_KEPT}, or "
            f"{KEPT_LIMIT // 1_000_000_000} GB",
            "make room with attnviz memory --forget NAME",
        )
    _write(path, content)


def recall(name: str = LAST) -> "Inspection | None":
    """What is remembered under a name; None only where this terminal has no last sentence.

    RequestError if there is no such name, AttnvizError if its file is damaged, or another's.
    """
    from attnviz.inspection.storage import load

    if name == LAST and is_off():
        return None
    path = _own(LAST) if name == LAST else found(name)
    try:
        return load(path) if is_own_file(path) else None
    except AttnvizError as error:
        raise AttnvizError(
            f"the remembered sentence cannot be read: {error.message}",
            "run a text, which will replace it"
            if name in (LAST, OTHER)
            else f"forget it with attnviz memory --forget {name}",
        ) from error


def found(name: str) -> Path:
    """The file of a name; RequestError, with those near it, if there is none."""
    files, name = remembered(), OTHER if name == OTHER.lower() else name
    path = files.get(unicodedata.normalize("NFC", name))
    if path is not None:
        return path
    near = get_close_matches(name, files, cutoff=0.5)
    if name in ("A", "a") and LAST in files:  # so notes and tables call it after a comparison
        near = [LAST]
    what = {LAST: "no sentence is remembered", OTHER: "no comparison is remembered"}
    raise RequestError(
        what.get(name, f'nothing is kept under the name "{name}"'),
        f"did you mean {' or '.join(near)}? {LISTED}" if near else LISTED,
    )


def remembered() -> dict[str, Path]:
    """The file of each name, the own ones of this terminal first, then those kept, then others'."""
    _check_on()
    terminal = _terminal()
    files = dict[str, Path]()
    for path in _files():
        stem = path.name.removesuffix(_SUFFIX)
        of_terminal = _OF_TERMINALS.fullmatch(stem)
        if of_terminal is None:
            files[unicodedata.normalize("NFC", stem.removeprefix(_KEPT))] = path
            continue
        which, where = of_terminal[1], of_terminal[2] or SCRIPTS
        files[which if where == terminal else f"{which}-{where}"] = path
    order = {LAST: 0, OTHER: 1}

    def place(name: str) -> tuple[int, bool, str]:
        return order.get(name, 2), not is_kept(files[name]), name

    return {name: files[name] for name in sorted(files, key=place)}


def is_kept(path: Path) -> bool:
    """Whether that file was kept by name, and not by itself."""
    return path.name.startswith(_KEPT)


def forget(name: str) -> None:
    """Remove what is remembered under a name; RequestError if there is nothing."""
    found(name).unlink(missing_ok=True)


def kept_path(name: str) -> Path:
    """Where `--as` keeps that name; RequestError if it is no name, or one of a terminal's own."""
    _check_on()
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise RequestError(
            f'"{name}" cannot be a name',
            "a name has up to 64 letters, digits, -, _ and ., and begins with a letter or digit",
        )
    if name.casefold() in (LAST, OTHER.casefold()) or _OF_TERMINALS.fullmatch(name):
        raise RequestError(
            f"{name} is the name of what attnviz remembers by itself", "choose another name"
        )
    return cache_folder() / f"{_KEPT}{name}{_SUFFIX}"


def is_off() -> bool:
    """Whether ATTNVIZ_NO_MEMORY turns memory off."""
    return os.environ.get("ATTNVIZ_NO_MEMORY", "") not in ("", "0")


def _check_on() -> None:
    if is_off():
        raise RequestError("memory is off: ATTNVIZ_NO_MEMORY is set", "unset it")


def _content(inspection: "Inspection") -> bytes | None:
    """The inspection as a file holds it; None if it is too large to be remembered."""
    if inspection.nbytes > MEMORY_LIMIT:
        return None
    from attnviz.inspection.storage import to_bytes

    content = to_bytes(inspection)
    return None if len(content) > MEMORY_LIMIT else content


def _write(path: Path, content: bytes) -> None:
    make_own_folder(path.parent)
    with whole_file(path, private=True) as stream:
        stream.write(content)


def _own(name: str) -> Path:
    """The file of this terminal's LAST or OTHER."""
    terminal = _terminal()
    return cache_folder() / (f"{name}{'' if terminal == SCRIPTS else f'-{terminal}'}{_SUFFIX}")


def _files() -> Iterator[Path]:
    """The files of what is remembered."""
    folder = cache_folder()
    for path in folder.glob(f"*{_SUFFIX}"):
        stem = path.name.removesuffix(_SUFFIX)
        if stem.startswith(_KEPT) or _OF_TERMINALS.fullmatch(stem):
            yield path


def _tidy() -> None:
    """Remove terminals' files but the newest, and what a killed process left half-written."""
    now, size = time.time(), 0
    with suppress(OSError):  # such as a file that another process has just removed
        dated = [(path.lstat(), path) for path in _files() if not is_kept(path)]
        dated.sort(key=lambda one: one[0].st_mtime, reverse=True)
        for number, (facts, path) in enumerate(dated):
            size += facts.st_size
            if number >= MOST_LAST or size > LAST_LIMIT or now - facts.st_mtime > OLDEST:
                path.unlink()
        for path in cache_folder().glob(".*"):
            if _HALF.search(path.name) and now - path.lstat().st_mtime > HALF_WRITTEN:
                path.unlink()


def _terminal() -> str:
    """Eight letters that stand for this terminal, or SCRIPTS where there is none.

    ATTNVIZ_TERMINAL names one, and nothing, if it is empty.
    """
    named = os.environ.get("ATTNVIZ_TERMINAL")
    named = _session() if named is None else named
    if not named:
        return SCRIPTS
    import hashlib

    return hashlib.sha256(named.encode(errors="replace")).hexdigest()[:8]


def _session() -> str:
    """The session that has this terminal, by its leader, a shell, and when that began.

    The number of a shell, or of a terminal, is given to another one later. A leader that is there
    for one command (this process, or `sh -c`), as in a cell of a notebook or under `ssh -t`, makes
    no session in which anything could be remembered.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))  # the one that controls us
        leader = os.getsid(0)
    except (OSError, AttributeError):  # no terminal; or Windows
        return os.environ.get("WT_SESSION", "")
    try:
        process = Path(f"/proc/{leader}")
        if leader == os.getpid() or b"-c" in process.joinpath("cmdline").read_bytes().split(b"\0"):
            return ""
        began = process.joinpath("stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except (OSError, IndexError):  # no Linux
        began, boot = "", os.environ.get("TERM_SESSION_ID", "")
    return f"{leader} {began} {boot}"
