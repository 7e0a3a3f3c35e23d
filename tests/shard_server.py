"""A web server on loopback that holds files and answers as it is told, and readers of it in processes of their own."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from descant.data.cache import ShardCache
from descant.data.description import describe
from descant.data.objects import Retries
from descant.data.reader import SplitReader
from descant.data.remote import RemoteFolder

Answer = int | str
"""A status, ``cut`` (the connection ends early), ``short`` (fewer bytes than HEAD said), ``slow``, or ``whole``."""
QUICK = Retries(tries=4, first_wait_s=0.01)


class ShardServer(ThreadingHTTPServer):
    """Serves ``files`` by name below /set/; ``answers`` are the next ones for a name, after which all goes well.

    Attributes:
        gets: how often each name was got.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.answers: dict[str, list[Answer]] = {}
        self.gets: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Of the folder."""
        return f"http://127.0.0.1:{self.server_address[1]}/set"


class _Handler(BaseHTTPRequestHandler):
    server: ShardServer

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        name = self.path.rpartition("/")[2]
        content = self.server.files.get(name)
        if not name:
            content = "".join(f'<a href="{one}">{one}</a>\n' for one in self.server.files).encode()
        answer: Answer = "whole" if content is not None else 404
        if body:
            self.server.gets[name] += 1
        waiting = self.server.answers.get(name)
        if waiting and (body or isinstance(waiting[0], int)):
            answer = waiting.pop(0)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        assert content is not None
        sent = content[: len(content) // 2] if answer in ("cut", "short") else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent if answer == "short" else content)))
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.end_headers()
        if body and answer == "slow":
            self.wfile.write(sent[:1000])
            time.sleep(0.5)
            sent = sent[1000:]
        if body:
            self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[ShardServer]:
    """Serve the files of a folder."""
    with ShardServer({path.name: path.read_bytes() for path in sorted(folder.iterdir())}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def all_samples(place: str | Path | RemoteFolder, split: str = "train") -> list[tuple[str, bytes | None, Any]]:
    """Return the key, the npy member and the labels of each sample."""
    reader = SplitReader(place, describe(place), split)
    try:
        keys = [index.keys[row] for index, row in map(reader.locate, range(len(reader)))]
        return [(key, reader.member(number, "npy"), reader.labels(number)) for number, key in enumerate(keys)]
    finally:
        reader.close()


def read_in_process(url: str, cache: Path, limit_bytes: int, max_open: int = 16) -> list[tuple[str, bytes | None, Any]]:
    """Read everything as another process of the host would."""
    folder = RemoteFolder(url, ShardCache(cache, limit_bytes), QUICK)
    folder.max_open = max_open
    return all_samples(folder)
