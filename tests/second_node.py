"""A second node of a cluster on this machine, until its standard input ends: ``python second_node.py HOST:PORT``."""

from __future__ import annotations

import sys

from ray._private.node import Node
from ray._private.parameter import RayParams

node = Node(
    RayParams(
        gcs_address=sys.argv[1],
        node_ip_address="127.0.0.1",
        num_cpus=1,
        object_store_memory=100 * 2**20,
        dashboard_agent_listen_port=0,
    ),
    head=False,
    shutdown_at_exit=True,
    connect_only=False,
)
print("runs", flush=True)
sys.stdin.read()
node.kill_all_processes(check_alive=False, allow_graceful=False)
