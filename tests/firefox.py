"""Firefox without a driver: pages, scripts and what they log, through WebDriver BiDi (W3C)."""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIREFOX = shutil.which(os.environ.get("ATTNVIZ_FIREFOX", "firefox-esr"))
PATIENCE = 60  # seconds, for a busy machine
QUIET = (
    'user_pref("browser.shell.checkDefaultBrowser", false);\n'
    'user_pref("datareporting.policy.dataSubmissionEnabled", false);\n'
    'user_pref("app.update.enabled", false);\n'
)


class Firefox:
    """One tab of a browser; `heard`: errors and warnings that pages log, and what they ask for."""

    def __init__(self, port: int) -> None:
        self.heard: list[str] = []
        self._count = 0
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        asked = f"GET /session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        asked += f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        self._socket.sendall(f"{asked}Sec-WebSocket-Version: 13\r\n\r\n".encode())
        while self._stream.readline().strip():
            pass
        self("session.new", capabilities={})
        events = ["log.entryAdded", "network.beforeRequestSent"]
        self("session.subscribe", events=events)
        self._tab = self("browsingContext.getTree")["contexts"][0]["context"]

    def __call__(self, method: str, **params: Any) -> Any:
        """Send a command and wait for its result; events meanwhile are `heard`."""
        self._count += 1
        self._send({"id": self._count, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['message']}")
                return message["result"]
            self._hear(message)

    def close(self) -> None:
        """Close the browser and the connection."""
        self("browser.close")
        self._stream.close()
        self._socket.close()

    def open(self, address: str) -> None:
        """Load a page, and wait until it is loaded."""
        self("browsingContext.navigate", context=self._tab, url="about:blank", wait="complete")
        self("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, text or number, when its promise is kept."""
        answer = self(
            "script.evaluate",
            expression=expression,
            target={"context": self._tab},
            awaitPromise=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "log.entryAdded" and params["level"] in ("error", "warn"):
            self.heard.append(str(params["text"]))
        if message.get("method") == "network.beforeRequestSent":
            address = params["request"]["url"]
            if not address.startswith(("file:", "about:", "data:", "blob:")):
                self.heard.append(address)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        mask = os.urandom(4)
        short = len(data) < 126
        head = struct.pack(">BB", 0x81, 0x80 | (len(data) if short else 126))
        size = b"" if short else struct.pack(">H", len(data))
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self._socket.sendall(head + size + mask + masked)

    def _receive(self) -> dict[str, Any]:
        data, last = b"", False
        while not last:
            first, size = self._stream.read(2)
            last = bool(first & 0x80)
            if size > 125:
                form, count = (">H", 2) if size == 126 else (">Q", 8)
                (size,) = struct.unpack(form, self._stream.read(count))
            data += self._stream.read(size)
        found: dict[str, Any] = json.loads(data)
        return found


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A browser of its own, with its profile and its home in a folder."""
    if FIREFOX is None:
        raise AssertionError(
            "Firefox is missing: apt-get install firefox-esr, or set ATTNVIZ_FIREFOX"
        )
    (folder / "user.js").write_text(QUIET, encoding="utf-8")
    asked = [FIREFOX, "--headless", "--no-remote", "--profile", str(folder)]
    process = subprocess.Popen(
        [*asked, "--remote-debugging-port", "0", "about:blank"],
        env=os.environ | {"HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "WebDriver BiDi listening on" in line:
                    break
            one = Firefox(int(line.rsplit(":", 1)[1]))
            yield one
            one.close()
        finally:
            process.terminate()
