"""A user of clusters with a home of their own, and a server that answers as a dashboard might."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from descant import redaction

Answers = dict[str, tuple[int, Any]]
Serve = Callable[[Answers], tuple[str, list[tuple[str, str | None]]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without tokens and clusters; what is hidden in the test is not in the next one."""
    for name in [name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_TLS", "RAY_USE_TLS", "XDG_STATE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = dict(redaction._hidden)
    yield tmp_path
    redaction._hidden.clear()
    redaction._hidden.update(before)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server: path → status and JSON (or text); gives its address, and what it was asked with which token."""
    servers = []

    def start(answers: Answers) -> tuple[str, list[tuple[str, str | None]]]:
        asked: list[tuple[str, str | None]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers.get("Authorization")))
                status, answer = answers.get(self.path, (404, "no such thing"))
                body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", answer)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
