"""Files written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import cache_folder, whole_file

OLD = b"old content"


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that differs from the usual one, so that it can be seen to count."""
    before = os.umask(0o026)
    yield
    os.umask(before)


def write(path: Path, content: bytes = b"new", private: bool = False) -> None:
    with whole_file(path, private) as stream:
        stream.write(content)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def in_process(code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Python code that writes with whole_file, run on its own."""
    before = "import sys\nfrom pathlib import Path\nfrom attnviz.files import whole_file\n"
    return subprocess.run([sys.executable, "-c", before + code, *arguments], capture_output=True)


@pytest.mark.parametrize("existing", [True, False])
def test_the_file_appears_at_the_end(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "a.png"
    if existing:
        path.write_bytes(OLD)
    with whole_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.exists() == existing
        assert not existing or path.read_bytes() == OLD
        (beside,) = [other for other in tmp_path.iterdir() if other != path]
        assert mode(beside) == 0o600
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("existing", [True, False])
def test_an_error_or_interrupt_leaves_things_as_they_were(
    tmp_path: Path, error: type[BaseException], existing: bool
) -> None:
    path = tmp_path / "a.png"
    if existing:
        path.write_bytes(OLD)
    with pytest.raises(error), whole_file(path) as stream:  # noqa: PT012 - what is left counts
        stream.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == ([path] if existing else [])
    assert not existing or path.read_bytes() == OLD


@pytest.mark.usefixtures("umask")
def test_permissions(tmp_path: Path) -> None:
    public, private = tmp_path / "public", tmp_path / "private"
    write(public)
    write(private, private=True)
    assert (mode(public), mode(private)) == (0o640, 0o600)
    public.chmod(0o604)
    private.chmod(0o644)
    write(public)
    write(private, private=True)
    assert (mode(public), mode(private)) == (0o604, 0o600)
    assert os.umask(0o026) == 0o026


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "a.png", tmp_path / "link.png"
    link.symlink_to("there/a.png")
    for content in (b"first", b"second"):  # to a target that is absent, and to one that is there
        write(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    assert list((tmp_path / "there").iterdir()) == [target]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"through")
    reader.join(10)
    assert read == [b"through"]
    assert list(tmp_path.iterdir()) == [pipe]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("stream", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_written_to_whatever_it_is(tmp_path: Path, stream: str) -> None:
    code = f"with whole_file(Path({stream!r})) as stream: stream.write(b'new')"
    assert in_process(code).stdout == b"new"
    log = tmp_path / "log"
    log.write_bytes(OLD)
    # as the shell's >>: what is in the file stays, and the stream still leads to it afterwards
    code += "\nprint(' and more')"
    with log.open("ab") as output:
        before = "from pathlib import Path\nfrom attnviz.files import whole_file\n"
        subprocess.run([sys.executable, "-c", before + code], stdout=output, check=True)
    assert log.read_bytes() == OLD + b"new and more\n"
    assert list(tmp_path.iterdir()) == [log]


def test_a_device_stays_a_device() -> None:
    write(Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_reader_that_leaves_is_no_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), whole_file(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "absent", tmp_path / "file", tmp_path / "absent" / "deeper"):
        with pytest.raises(RequestError) as caught:
            write(folder / "a.png")
        message = f"cannot write {folder / 'a.png'}: there is no folder {folder}"
        assert (caught.value.message, caught.value.hint) == (message, "make the folder first")


@pytest.mark.parametrize("name", ["", ".", "..", "folder"])
def test_a_folder_in_place_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RequestError, match="it is a folder") as caught:
        write(tmp_path / name)
    assert caught.value.hint == "give the name of a file"
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(AttnvizError, match=r"cannot write /sys/a\.png: ") as caught:
        write(Path("/sys/a.png"))
    assert not isinstance(caught.value, RequestError)
    assert caught.value.hint == "choose another place"


@pytest.mark.parametrize("name", ["...", "a" * 255, "동" * 85, "👩" * 63, " ", "-", "$a\n\x1b[31m"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"new"


@pytest.mark.parametrize("name", ["a" * 256, "동" * 86])
def test_names_too_long(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttnvizError, match="file name too long"):
        write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import os
from attnviz.errors import AttnvizError
folder = Path(sys.argv[1])
(folder / "old").write_bytes(b"old content")
for name in ("old", "new"):
    try:
        with whole_file(folder / name) as stream:
            for _ in range(64):
                stream.write(bytes(65536))
    except AttnvizError as error:
        print(type(error).__name__, error.message)
print(sorted(os.listdir(folder)), (folder / "old").read_bytes())
"""


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom attnviz.files import whole_file\n" + FULL_DISK
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", mounted, "sh", str(disk)]
    done = subprocess.run(
        [*command, sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"AttnvizError cannot write {disk / 'old'}: no space left on device",
        f"AttnvizError cannot write {disk / 'new'}: no space left on device",
        "['old'] b'old content'",
    ]


def test_the_cache_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "attnviz"
    assert not cache_folder().exists()
