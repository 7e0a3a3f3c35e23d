"""Ray's dashboard by its REST interface: what a client needs of a cluster, without importing Ray.

The endpoints are those of Ray's Jobs API (2.60). Nothing is pickled and nothing of the client's Python gets to the
cluster but files.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from descant.errors import RunError, UserError, nearest
from descant_cluster.access import Access

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_TIMEOUT_S = 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Dashboard:
    """A cluster's dashboard.

    Args:
        address: ``http://host:port`` or ``https://…``.
        access: how to authenticate.

    All methods raise a RunError when nobody answers, and a UserError when the token is refused.
    """

    def __init__(self, address: str, access: Access) -> None:
        self.address, self._access = address, access
        direct = [urllib.request.ProxyHandler({})] if is_loopback(address) else []
        self._opener = urllib.request.build_opener(_NoRedirect(), *direct)

    def is_ready(self) -> bool:
        """Return whether jobs can be handed in."""
        return isinstance(self._json("GET", "/api/version"), dict) and isinstance(self.jobs(), list)

    def ray_version(self) -> str:
        """Return the version of Ray on the cluster."""
        return str(self._json("GET", "/api/version")["ray_version"])

    def wants_token(self) -> bool:
        """Return whether the cluster authenticates its callers; asked without a token."""
        status, body = self._send("GET", "/api/authentication_mode", authenticated=False)
        return status != 200 or _parsed(body, self.address).get("authentication_mode") != "disabled"

    def jobs(self) -> list[dict[str, Any]]:
        """Return what is known of every job that was handed in, the oldest first."""
        found = self._json("GET", "/api/jobs/")
        jobs = [job for job in found if job.get("type") == "SUBMISSION"]
        return sorted(jobs, key=lambda job: job.get("start_time") or 0)

    def job(self, name: str) -> dict[str, Any]:
        """Return what is known of a job.

        Raises:
            UserError: there is none of this name.
        """
        job: dict[str, Any] = self._json("GET", f"/api/jobs/{quote(name)}", job=name)
        return job

    def log(self, name: str) -> str:
        """Return all that a job has written so far."""
        return str(self._json("GET", f"/api/jobs/{quote(name)}/logs", job=name)["logs"] or "")

    def stop(self, name: str) -> None:
        """Ask a job to end."""
        self._json("POST", f"/api/jobs/{quote(name)}/stop", job=name)

    def submit(self, request: Mapping[str, Any]) -> None:
        """Hand in a job."""
        self._json("POST", "/api/jobs/", json.dumps(request).encode())

    def upload(self, package: str, content: bytes) -> str:
        """Put a zip file where the cluster's nodes fetch it, unless it is there, and return its address for them."""
        path = f"/api/packages/gcs/{package}"
        status, _ = self._send("GET", path)
        if status == 404:
            status, body = self._send("PUT", path, content)
            if status != 200:
                raise RunError(f"the cluster at {self.address} does not take the files: {_first_line(body)}")
        return f"gcs://{package}"

    def _json(self, method: str, path: str, body: bytes | None = None, *, job: str | None = None) -> Any:
        status, answer = self._send(method, path, body)
        if status == 404 and job is not None:
            known = [str(each["submission_id"]) for each in self.jobs()]
            raise UserError(f"the cluster at {self.address} knows no job {job!r}: {nearest(job, known)}")
        if status != 200:
            raise RunError(f"the cluster at {self.address} answers {status} to {path}: {_first_line(answer)}")
        return _parsed(answer, self.address)

    def _send(
        self, method: str, path: str, body: bytes | None = None, *, authenticated: bool = True
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json" if method == "POST" else "application/octet-stream"}
        if authenticated and self._access.token is not None:
            headers["Authorization"] = f"Bearer {self._access.token}"
        request = urllib.request.Request(self.address + path, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                self._check_let_in(error.code)
                return error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            raise RunError(_silent(self.address, error)) from error

    def _check_let_in(self, code: int) -> None:
        if code == 401:
            raise UserError(
                f"the cluster at {self.address} wants a token and got none: set RAY_AUTH_TOKEN_PATH to the file that "
                f"holds it, and leave RAY_AUTH_MODE alone"
            )
        if code == 403:
            raise UserError(
                f"the cluster at {self.address} refuses the token of {self._access.source or 'this call'}: "
                f"set RAY_AUTH_TOKEN_PATH to the file that holds its own"
            )


def is_loopback(address: str) -> bool:
    """Return whether an address leads to this machine, or into a tunnel that starts here."""
    return urlsplit(address).hostname in _LOOPBACK


def checked_address(address: str) -> str:
    """Return ``http(s)://host:port`` of what a user calls a cluster's address; without a scheme it is http."""
    scheme, sign, rest = address.rpartition("://")
    scheme, place = (scheme if sign else "http"), rest.split("/")[0]
    host, _, port = place.rpartition(":")
    if scheme not in ("http", "https") or not host or not port.isdigit() or "@" in place:
        raise UserError(f"{address!r} is no address of a cluster's dashboard: give one such as http://127.0.0.1:8265")
    return f"{scheme}://{place}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would take the token elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _silent(address: str, error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLError):
        return f"the certificate of {address} is not trusted ({reason}): set SSL_CERT_FILE to that of its authority"
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"no Ray cluster answers at {address} ({words}): give the address that 'descant cluster up' or Ray prints"


def _parsed(body: bytes, address: str) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise RunError(f"what answers at {address} is no dashboard of Ray 2.60: give its address") from error


def _first_line(body: bytes) -> str:
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing more"
