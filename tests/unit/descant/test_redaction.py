"""What is hidden stands in no text, however it is escaped; workers hide it too."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from descant import redaction
from descant.files import write_text
from descant.redaction import hide, hide_variable, redact_error, redacted, redacted_values
from descant.run.request import RunRequest

SECRET = 'pa"ss&wörd/\\'


@pytest.fixture(autouse=True)
def nothing_hidden() -> Iterator[None]:
    before = dict(redaction._hidden)
    redaction._hidden.clear()
    yield
    redaction._hidden.clear()
    redaction._hidden.update(before)


@pytest.mark.parametrize("written", [str, json.dumps, html.escape, lambda text: quote(text, safe="")])
def test_a_hidden_value_is_found_in_each_form_that_files_give_it(written: object) -> None:
    assert callable(written)
    text = f"s3://me:{written(SECRET)}@host"
    assert redacted(text) == text
    hide_variable("PASSWORD", SECRET)
    assert SECRET not in redacted(text) and "wörd" not in redacted(text)
    assert "${oc.env:PASSWORD}" in redacted(text)


def test_short_values_are_hidden_where_they_stand_alone() -> None:
    hide_variable("PIN", "0042")
    hide_variable("EMPTY", "")
    assert redacted("10042 samples, 0042") == "10042 samples, 0042"
    assert redacted_values({"a": ["0042", 42], "b": "x"}) == {"a": ["${oc.env:PIN}", 42], "b": "x"}


def test_the_longest_value_goes_first() -> None:
    hide_variable("A", "secret")
    hide_variable("B", "secret-of-two")
    assert redacted("secret-of-two, secret") == "${oc.env:B}, ${oc.env:A}"


def test_files_errors_and_the_log_are_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hide("hunter2-hunter2", "(token)")
    write_text(tmp_path / "file", "the hunter2-hunter2")
    assert (tmp_path / "file").read_text() == "the (token)"
    try:
        try:
            raise OSError(13, "no hunter2-hunter2")
        except OSError as cause:
            raise ValueError("so hunter2-hunter2 failed") from cause
    except ValueError as error:
        redact_error(error)
        assert str(error) == "so (token) failed"
        assert error.__cause__ is not None and error.__cause__.args == (13, "no (token)")
    logging.getLogger("descant").warning("with %s in %d", "hunter2-hunter2", 3)
    assert caplog.messages == ["with (token) in 3"]


def test_a_request_takes_variables_to_workers_and_no_token() -> None:
    hide_variable("PASSWORD", "hunter2-hunter2")
    hide("a-token-of-a-cluster", "(token)")
    request = RunRequest.from_json(RunRequest({}, "folder").to_json())
    assert request.hidden == {"hunter2-hunter2": "${oc.env:PASSWORD}"}
