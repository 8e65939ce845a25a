"""The command line: what people type, and what they get."""

import gc
import io
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Any

from attnviz.files import discard_unfinished

GARBAGE = 1 << 18  # objects made before Python looks for garbage; the usual 700 slow the start

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_AGAIN = 0.5  # seconds after which leaving is asked for again, should the request have been lost
_ENOUGH = 20  # times that it is asked for

# what libraries read from the environment: attnviz ignores these, and names that begin so
_UNUSED = (
    "MPLBACKEND", "MATPLOTLIBRC", "SOURCE_DATE_EPOCH",
    "TORCH_CPP_LOG_LEVEL", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_SHOW_CPP_STACKTRACES",
)  # fmt: skip
_UNUSED_KINDS = (
    "TQDM_", "AOTINDUCTOR_", "PYTORCH_JIT", "TORCHDYNAMO_", "TORCHINDUCTOR_", "TORCH_COMPILE_",
    "TORCH_LOGS", "TORCH_TRACE",
)  # fmt: skip
# these must be absolute, and these positive numbers; others are ignored: a library would fail
_FOLDERS = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
_NUMBERS = (
    "COLUMNS", "LINES", "TERMINAL_WIDTH", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT",
    "WORLD_SIZE",
)  # fmt: skip


class _Leaving:
    """A signal ends the command in order: no file half-written, no message, its own exit code.

    The signal becomes a SystemExit. That is lost where Python or a library cannot pass it on (in a
    weak reference's callback, in compiled code), so it is raised again until the command has ended.
    A second signal does not wait for the end.
    """

    def __init__(self) -> None:
        self.code = 0
        self._times = 0

    def listen(self) -> None:
        """Handle the signals from now on, except those that the parent ignores (as nohup does)."""
        self._heed(self._leave)
        sys.unraisablehook = self._ignored

    def over(self) -> None:
        """The command has ended: remove what it left; from now on, a signal ends all at once."""
        self._heed(self._at_once)
        if self.code:
            self._repeat(0)
            self._clear()

    def _heed(self, handler: Any) -> None:
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # not every system has all
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self.code:
            self._at_once(number, frame)
        self.code = 128 + number
        self._repeat(_AGAIN)
        sys.stderr = io.StringIO()  # what fails from now on fails because of the signal
        raise SystemExit(self.code)

    def _again(self, number: int, frame: FrameType | None) -> None:
        self._times += 1
        if self._times > _ENOUGH:
            self._at_once(number, frame)
        raise SystemExit(self.code)

    def _at_once(self, number: int, frame: FrameType | None) -> None:
        self._clear()
        os._exit(self.code or 128 + number)

    def _clear(self) -> None:
        """Remove what is half-written, and what a spinner leaves on the terminal."""
        discard_unfinished()
        if os.isatty(2):
            os.write(2, b"\r\x1b[K\x1b[?25h")

    def _repeat(self, seconds: float) -> None:
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._again)
            signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def _ignored(self, lost: Any) -> None:
        if not self.code:
            sys.__unraisablehook__(lost)


def main() -> int:
    """Run `attnviz`, and return its exit code, as docs/cli.md lists them."""
    leaving = _Leaving()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    leaving.listen()
    # numpy's, about overflow: results are checked for it, with messages of their own
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    code = 0
    try:
        _ready_environment()
        from attnviz.cli.output import prepare_streams

        prepare_streams()
        from attnviz.cli.app import app, completed, exit_code_of
        from attnviz.show.forms import ALONE

        ALONE.set(True)
        shell = os.environ.get("_ATTNVIZ_COMPLETE")
        code = completed(shell) if shell else exit_code_of(lambda: app(prog_name="attnviz"))
    except BaseException:
        if not leaving.code:  # or whatever became of the signal on its way
            raise
    finally:
        leaving.over()
        gc.freeze()  # or Python would go through all that torch made once more at exit
    return leaving.code or code


def _ready_environment() -> None:
    """Remove variables that would make libraries fail, and those that attnviz does not need."""
    unused = [name for name in os.environ if name.startswith(_UNUSED_KINDS)]
    unused = [name for name in unused if not name.endswith("_DISABLE")]
    # a relative folder of these does not count, says the standard; libraries would use it
    folders = [name for name in _FOLDERS if not os.path.isabs(os.environ.get(name, ""))]
    for name in (*_UNUSED, *unused, *folders):
        os.environ.pop(name, None)
    for name in _NUMBERS:
        value = os.environ.get(name, "1")
        if not value.strip("0").isdecimal() or len(value) > 5:
            del os.environ[name]
