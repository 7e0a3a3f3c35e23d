"""Whether a running cluster lets this process in: asked before Ray is, which knocks for minutes and says not why."""

from __future__ import annotations

import socket
from pathlib import Path

from descant.errors import RunError, UserError
from descant_cluster.access import Access
from descant_cluster.tls import tls_files

_QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # what each process of Ray asks first
_PATIENCE_S = 10.0


def check_answers(address: str, timeout_s: float = 5.0) -> None:
    """Raise a RunError when nothing listens at ``[ray://]host:port``: Ray itself would try for ten minutes."""
    place = _place(address)
    if place is None:
        return  # "auto" and the like are Ray's to resolve
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except OSError as error:
        raise RunError(silent(address, error)) from error


def check_let_in(address: str, access: Access) -> None:
    """Raise a UserError when the cluster at ``host:port`` refuses the token, or asks nobody for one.

    Raises:
        UserError: as said. RunError: what answers is no Ray cluster.
    """
    place = _place(address)
    if place is None or "://" in address:
        return
    if _ask(address, place, None):
        if access.token is not None:
            raise UserError(
                f"the cluster at run.address={address} has no authentication: anybody may run programs on it; set "
                f"RAY_AUTH_MODE=disabled to join it all the same, or start it with a token"
            )
    elif access.token is None or not _ask(address, place, access.token):
        given = f"the token of {access.source}" if access.token is not None else "callers without a token"
        raise UserError(
            f"the cluster at run.address={address} refuses {given}: set RAY_AUTH_TOKEN_PATH to the file that holds its "
            f"own, and leave RAY_AUTH_MODE alone"
        )


def silent(address: str, reason: object) -> str:
    """Return the sentence about an address where no cluster is."""
    first = str(reason).strip().splitlines()[0]
    return f"no Ray cluster answers at run.address={address} ({first}): give a running one's, or null for one here"


def _ask(address: str, place: str, token: str | None) -> bool:
    """Return whether a question is answered, with a token or without one."""
    import grpc

    files = tls_files()
    certificate, key, authority = (Path(file).read_bytes() for file in files) if files else (None, None, None)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    channel = grpc.secure_channel(place, credentials) if files else grpc.insecure_channel(place)
    given = None if token is None else [("authorization", f"Bearer {token}")]
    with channel:
        try:
            channel.unary_unary(_QUESTION)(b"", timeout=_PATIENCE_S, metadata=given)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            said = f"what listens there is none, or speaks {'no TLS' if files else 'TLS'}: {error.code().name.lower()}"
            raise RunError(silent(address, said)) from error
    return True


def _place(address: str) -> str | None:
    place = address.rpartition("://")[2].rstrip("/")
    host, _, port = place.rpartition(":")
    return place if host and port.isdigit() else None
