"""A cluster that is not there is said at once."""

from __future__ import annotations

import socket
import threading

import pytest

from descant.errors import RunError
from descant_cluster.access import Access
from descant_cluster.knock import check_answers, check_let_in


@pytest.mark.parametrize("form", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "http://localhost:{port}/"])
def test_only_an_address_that_answers_will_do(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = form.format(port=server.getsockname()[1])
        check_answers(address)
    with pytest.raises(RunError, match=r"^no Ray cluster answers at run.address=.*: give a running one's, or null"):
        check_answers(address)


def test_what_ray_resolves_itself_is_left_to_it() -> None:
    check_answers("auto")


def test_what_is_no_ray_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with pytest.raises(
            RunError, match=r"^no Ray cluster answers at .* \(what listens there is none, or speaks TLS"
        ):
            check_let_in(f"127.0.0.1:{server.getsockname()[1]}", Access({}))
