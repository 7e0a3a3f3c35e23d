"""Callbacks hear what happens to a run, and never end it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from descant.callbacks import Event, Notices, Webhook, build_callbacks
from descant.callbacks.base import Kind
from descant.errors import RunError, UserError
from descant.launch.prepare import Launch, prepare
from descant.run.stopping import StopFile
from support import mel_data_set

PLUGIN = """
from pathlib import Path
from descant import Callback, Event, register_callback

@register_callback("to_a_file")
class ToAFile(Callback):
    def __init__(self, path: str, fails: bool = False) -> None:
        self.path, self.fails = Path(path), fails

    def tell(self, event: Event) -> None:
        with self.path.open("a") as file:
            file.write(f"{event.kind} {event.run} {dict(event.details)}\\n")
        if self.fails:
            raise OSError("no room")
"""


class Hook:
    """A server that keeps what is posted to it."""

    def __init__(self, answer: int = 200) -> None:
        self.posted: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posted.append(json.loads(body))
                self.send_response(answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/secret-of-the-hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    made = Hook()
    monkeypatch.setenv("HOOK_OF_A_TEST", made.url)
    yield made
    made.close()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    mel_data_set(tmp_path / "data", train=16, validation=8, test=8, frames=20)
    (tmp_path / "to_a_file.py").write_text(PLUGIN)
    return tmp_path


def launch(*overrides: str) -> Launch:
    small = ["data=data", "run=inline", "inputs.mel.crop_frames=10", "trunk.hidden=[4]", "trainer.batch_size=8"]
    return prepare("genre", [*small, "trainer.epochs=2", "trainer.loader_workers=0", *overrides])


def ignore(row: object) -> None:
    pass


def test_a_hook_hears_of_start_and_end_and_its_address_is_in_no_file(here: Path, hook: Hook) -> None:
    run = launch("callbacks.webhook.url=${oc.env:HOOK_OF_A_TEST}").run(ignore)
    started, finished = hook.posted
    assert (started["event"], started["run"], started["resumes"]) == ("started", "genre", False)
    assert finished["event"] == "finished" and finished["folder"] == str(run.folder)
    assert finished["text"].startswith("the run 'genre' is finished: best genre accuracy 0.")
    assert finished["value"] == run.summary["main"]["value"]
    texts = [path.read_bytes() for path in here.rglob("*") if path.is_file()]
    assert any(b"${oc.env:HOOK_OF_A_TEST}" in text for text in texts), "the recipe runs again as it is"
    assert not any(b"secret-of-the-hook" in text for text in texts)
    again = prepare(str(run.folder / "recipe.yaml"))
    again.run(ignore)
    assert len(hook.posted) == 2, "a run that is finished already is no event"


def test_a_callback_of_ones_own_fails_and_the_run_goes_on(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = ["plugins=[to_a_file.py]", "callbacks={to_a_file: {path: told.txt, fails: true}}"]
    with caplog.at_level(logging.WARNING, "descant"):
        assert launch(*told).run(ignore).status == "finished"
    assert [line.split()[:2] for line in (here / "told.txt").read_text().splitlines()] == [
        ["started", "genre"],
        ["finished", "genre"],
    ]
    assert "the callback 'to_a_file' could not be told of 'started' (OSError: no room)" in caplog.text


def test_an_interrupted_and_a_failed_run_are_told(here: Path) -> None:
    told = ["plugins=[to_a_file.py]", "callbacks={to_a_file: {path: told.txt}}"]

    def stop(row: object) -> None:
        StopFile(here / "runs" / "genre").request()

    assert launch(*told).run(stop).status == "interrupted"
    poisoned = launch(*told, "run.name=poisoned", "optimizer.lr=1e30", "trainer.nonfinite_steps=0")
    with pytest.raises(RunError):
        poisoned.run(ignore)
    lines = (here / "told.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["started", "interrupted", "started", "failed"]
    assert "'error': " in lines[-1]


def test_callbacks_change_nothing_that_is_learnt(here: Path) -> None:
    plain = launch("run.name=one").recipe
    told = launch("run.name=two", "plugins=[]", "callbacks={webhook: {url: 'https://example.org'}}").recipe
    assert plain.fingerprint == told.fingerprint


@pytest.mark.parametrize(
    ("callbacks", "says"),
    [
        ("{webhook: {url: '${oc.env:NOT_SET_BY_A_TEST}'}}", r"callbacks.webhook cannot be resolved \(Environment"),
        ("{webhook: {url: 'https://hush.example.org/${oc.env:HOME}'}}", r"url has \$\{…\} within other text: give all"),
        ("{webhook: {url: 'hush.example.org'}}", "url is no http:// or https:// address: give one by"),
        ("{webhook: {url: 'https://hush.example.org/ a'}}", "url is no http:// or https:// address: give one by"),
        ("{webhook: {url: 'https://hush.example.org', events: [ended]}}", "events names 'ended'"),
        ("{webhook: {url: 'https://hush.example.org', timeout_s: 0}}", "timeout_s is 0.*: give seconds above 0"),
        ("{webhook: {url: 'https://hush.example.org', uri: 1}}", "has no option 'uri': did you mean 'url'"),
        ("{webhok: {}}", "there is no callback 'webhok': did you mean 'webhook'"),
        ("{webhook: {}}", "needs the option 'url'"),
    ],
)
def test_what_cannot_work_is_said_before_anything_trains(here: Path, callbacks: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        launch(f"callbacks={callbacks}")
    assert "hush" not in str(raised.value)
    assert not (here / "runs").exists()


def test_only_the_events_that_are_asked_for_are_posted(hook: Hook) -> None:
    webhook = Webhook(hook.url, ["failed"])
    kinds: tuple[Kind, ...] = ("started", "failed")
    for kind in kinds:
        webhook.tell(Event(kind, "run", "/runs/run", {"error": "no room"}))
    (posted,) = hook.posted
    assert posted["text"] == "the run 'run' has failed: no room"


def test_a_hook_that_refuses_is_reported_without_its_address() -> None:
    refusing = Hook(answer=403)
    with pytest.raises(RunError, match=r"^the server answered 403$"):
        Webhook(refusing.url).tell(Event("started", "run", "/runs/run"))
    refusing.close()
    with pytest.raises(RunError, match=r"^nobody took it: ConnectionRefusedError$"):
        Webhook(refusing.url).tell(Event("started", "run", "/runs/run"))


def test_each_task_that_stops_is_told_once(hook: Hook) -> None:
    rows = [("smile", 0.0), ("smile", 0.0), ("pose", 1.0), ("pose", 0.0), ("smile", 1.0), ("smile", 0.0), ("old", 0.0)]
    with Notices({"webhook": Webhook(hook.url)}, Path("/runs/run"), ["old"]) as notices:
        for epoch, (task, active) in enumerate(rows):
            notices.row({"metric": "active", "task": task, "value": active, "epoch": epoch})
        notices.row({"metric": "loss", "task": "smile", "value": 0.0, "epoch": 9})
    assert [(post["event"], post["task"], post["epoch"]) for post in hook.posted] == [
        ("task_stopped", "smile", 0),
        ("task_stopped", "pose", 3),
        ("task_stopped", "smile", 5),
    ]


def test_callbacks_are_made_from_a_recipes_words(hook: Hook) -> None:
    (made,) = build_callbacks({"webhook": {"url": "${oc.env:HOOK_OF_A_TEST}"}}).values()
    made.tell(Event("worker_lost", "run", "/runs/run", {"ranks": [1], "causes": ["killed"]}))
    assert hook.posted[0]["text"] == "the run 'run' has lost workers [1] and starts others"
