"""Where the workers of a run meet: at their first one's address alone, not on all interfaces of its machine.

torch's store lets in whoever reaches it, and listens everywhere by default. On a cluster of one machine, whose nodes
have a loopback address, nobody else reaches it then.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend


@dataclass
class BoundTorchConfig(TorchConfig):
    """Ray's TorchConfig, with a store that listens at the first worker's address."""

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        """The class that joins the workers."""
        return _BoundBackend


class _BoundBackend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(_bind_stores)
        super().on_start(worker_group, backend_config)


def _bind_stores() -> None:
    """Have torch bind the stores of this process to the address that it names to the others."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    rendezvous = import_module("torch.distributed.rendezvous")  # torch gives that name to a function too

    def bound(host_name: str, port: int, *, is_master: bool, **options: Any) -> TCPStore:
        if not is_master:
            return TCPStore(host_name=host_name, port=port, is_master=False, **options)
        family, _, _, _, place = socket.getaddrinfo(host_name, port, type=socket.SOCK_STREAM)[0]
        server = socket.create_server(place[:2], family=family, backlog=2048)
        return TCPStore(host_name=host_name, port=port, is_master=True, master_listen_fd=server.detach(), **options)

    rendezvous.TCPStore = bound  # type: ignore[attr-defined]
