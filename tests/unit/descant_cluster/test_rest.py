"""What answers at an address, and what it is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from descant.errors import RunError, UserError
from descant_cluster.access import by_file
from descant_cluster.jobs import call, check_version
from descant_cluster.rest import Dashboard, checked_address
from descant_cluster.state import new_token
from unit.descant_cluster.conftest import Serve

MODE, VERSION = "/api/authentication_mode", "/api/version"
TOKEN = (200, {"authentication_mode": "token"})


@pytest.fixture
def token(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = new_token(home / "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    return file.read_text()


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", "http://head", "head:x", "http://me:pw@head:8265"])
def test_what_is_no_address_of_a_dashboard_is_said(address: str) -> None:
    with pytest.raises(UserError, match="is no address of a cluster's dashboard: give one such as http://"):
        checked_address(address)


def test_addresses_have_one_form() -> None:
    assert checked_address("127.0.0.1:8265") == checked_address("http://127.0.0.1:8265/") == "http://127.0.0.1:8265"
    assert checked_address("https://head:443/ray") == "https://head:443"


def test_an_address_nobody_answers_is_one_sentence(token: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RunError, match=r"^no Ray cluster answers at http://127.0.0.1:\d+ \(Connection refused\): give"):
        call(f"http://127.0.0.1:{port}")


def test_what_is_no_dashboard_is_said(token: str, serve: Serve) -> None:
    address, _ = serve({MODE: (200, "<html>"), VERSION: (200, "<html>")})
    with pytest.raises(RunError, match="is no dashboard of Ray"):
        call(address)


def test_a_cluster_without_authentication_needs_the_users_word_and_gets_no_token(
    token: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = serve(
        {MODE: (200, {"authentication_mode": "disabled"}), VERSION: (200, {"ray_version": "2.60.0"})}
    )
    with pytest.raises(UserError, match="has no authentication: anybody may run programs on it; set RAY_AUTH_MODE"):
        call(address)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    call(address)
    assert {given for _, given in asked} == {None}


@pytest.mark.parametrize(("status", "said"), [(401, "wants a token and got none"), (403, "refuses the token of")])
def test_a_refused_token_is_one_sentence_without_it(token: str, serve: Serve, status: int, said: str) -> None:
    address, asked = serve({MODE: TOKEN, VERSION: (status, "Forbidden")})
    with pytest.raises(UserError, match=said) as refused:
        call(address)
    assert token not in str(refused.value)
    assert asked == [(MODE, None), (VERSION, f"Bearer {token}")]


def test_a_redirect_does_not_take_the_token_along(home: Path, serve: Serve) -> None:
    other, asked = serve({VERSION: (200, {"ray_version": "2.60.0"})})
    address, _ = serve({VERSION: (302, other + VERSION)})
    with pytest.raises(RunError, match="answers 302"):
        Dashboard(address, by_file(new_token(home / "token"))).ray_version()
    assert asked == []


@pytest.mark.parametrize(
    ("version", "fits"), [("2.60.0", True), ("2.60.9", True), ("2.59.1", False), ("3.60.0", False)]
)
def test_another_ray_is_one_sentence(token: str, serve: Serve, version: str, fits: bool) -> None:
    address, _ = serve({MODE: TOKEN, VERSION: (200, {"ray_version": version})})
    dashboard = call(address)
    if fits:
        check_version(dashboard)
        return
    with pytest.raises(UserError, match=rf"runs Ray {version} and this environment has 2\.60"):
        check_version(dashboard)


def test_an_unknown_job_is_named_with_its_neighbours(home: Path, serve: Serve) -> None:
    jobs = [{"type": "SUBMISSION", "submission_id": "demo-1a2b3c", "status": "RUNNING"}, {"type": "DRIVER"}]
    address, _ = serve({"/api/jobs/": (200, jobs)})
    dashboard = Dashboard(address, by_file(new_token(home / "token")))
    with pytest.raises(UserError, match="knows no job 'demo-1a2b3': did you mean 'demo-1a2b3c'"):
        dashboard.log("demo-1a2b3")
