"""The first Ctrl-C asks, the second ends, and afterwards all is as before."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from descant.run.stopping import SIGNALS, StopFile, on_interrupt


def test_workers_see_the_wish_of_the_driver(tmp_path: Path) -> None:
    driver, worker = StopFile(tmp_path), StopFile(tmp_path, interval_s=0.0)
    assert not worker.requested()
    driver.request()
    assert worker.requested()
    driver.clear()
    assert worker.requested(), "a worker that has begun to stop does not turn back"
    assert not StopFile(tmp_path).requested()
    driver.clear()


def test_asking_at_each_step_looks_seldom(tmp_path: Path) -> None:
    worker = StopFile(tmp_path, interval_s=3600.0)
    assert not worker.requested()
    StopFile(tmp_path).request()
    assert not worker.requested()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    asked: list[bool] = []
    with pytest.raises(KeyboardInterrupt), on_interrupt(lambda: asked.append(True)):
        os.kill(os.getpid(), number)
        assert asked == [True]
        os.kill(os.getpid(), signal.SIGINT)
    assert asked == [True]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_off_the_main_thread_signals_stay_as_they_are() -> None:
    seen: list[object] = []

    def run() -> None:
        with on_interrupt(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
