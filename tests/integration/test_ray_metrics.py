"""What Prometheus reads of a run on a cluster, what the dashboard asks for, and who hears of a lost worker."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from descant.watch import Overview
from descant_cluster.gauges import GAUGES, LOST
from faults.running import PATIENCE_S, TrainingProcess
from support import mel_data_set

pytestmark = [pytest.mark.ray, pytest.mark.slow]
DASHBOARD = Path(__file__).resolve().parents[2] / "cluster" / "manifests" / "grafana.json"
SAMPLE = re.compile(r"^(?P<name>[a-z_:0-9]+)\{(?P<labels>[^}]*)\} (?P<value>\S+)", re.MULTILINE)
ONLY_WITH_GPUS = {"ray_node_gpus_utilization"}
PLUGIN = """
from pathlib import Path
from descant import Callback, Event, register_callback

@register_callback("to_a_file")
class ToAFile(Callback):
    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def tell(self, event: Event) -> None:
        with self.path.open("a") as file:
            file.write(f"{event.kind} {dict(event.details)}\\n")
"""


@dataclass(frozen=True)
class Node:
    """A cluster of one node: where it is joined, and where Prometheus reads."""

    address: str
    metrics: str

    def samples(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return what Prometheus would read now, by name."""
        with urllib.request.urlopen(self.metrics, timeout=10) as answer:
            text = answer.read().decode()
        read: dict[str, list[tuple[dict[str, str], float]]] = {}
        for found in SAMPLE.finditer(text):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"]))
            read.setdefault(found["name"], []).append((labels, float(found["value"])))
        return read

    def wait_for(self, name: str, least: float = 0.0) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return the samples once one of a name has come to a value."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            read = self.samples()
            if any(value >= least for _, value in read.get(name, [])):
                return read
            assert time.monotonic() < deadline_s, sorted(read)
            time.sleep(0.2)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    import ray

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = pytest.MonkeyPatch()
    environment.setenv("RAY_AUTH_MODE", "disabled")  # for those that join, too
    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=True,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        configure_logging=False,
        _metrics_export_port=port,
        _system_config={"metrics_report_interval_ms": 500},
    )
    yield Node(ray.get_runtime_context().gcs_address, f"http://127.0.0.1:{port}/metrics")
    ray.shutdown()
    environment.undo()


def workers() -> list[psutil.Process]:
    """Return Ray's training workers."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]


def queries() -> list[str]:
    """Return every query of the dashboard: of its panels, and of the variables at its top."""
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return asked + [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]


def test_a_run_is_watched(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mel_data_set(tmp_path / "data", train=32, validation=8, test=8, frames=20)
    (tmp_path / "to_a_file.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    small = ["inputs.mel.crop_frames=10", "trunk.hidden=[4]", "trainer.batch_size=8", "trainer.loader_workers=0"]
    told = ["plugins=[to_a_file.py]", f"callbacks.to_a_file.path={tmp_path / 'told.txt'}"]
    where = [f"run.address={node.address}", "run.workers=2", "trainer.epochs=100000", "trainer.checkpoint_steps=4"]
    with TrainingProcess(tmp_path, "genre", f"data={data}", *small, *told, *where) as training:
        training.wait_for_step(8)
        node.wait_for("ray_descant_step", least=8)
        workers()[0].kill()
        lost = node.wait_for(f"ray_{LOST}_total", least=1)
        assert lost[f"ray_{LOST}_total"][0][0]["run"] == "run"
        node.wait_for("ray_descant_restarts", least=1)
        read = node.wait_for("ray_node_mem_used")
        (state,) = Overview(tmp_path / "runs").look()
        assert (state.status, state.workers, state.restarts) == ("running", 2, 1)
        training.process.send_signal(signal.SIGINT)
        assert training.wait() == 130, training.output.read_text()
    assert re.search(r"^Ray's dashboard: http://127\.0\.0\.1:\d+$", training.output.read_text(), re.MULTILINE)
    assert {f"ray_{name}" for name in GAUGES} <= set(read)
    numbers = {(labels["task"], labels["split"], labels["metric"]) for labels, _ in read["ray_descant_number"]}
    assert {("genre", "train", "loss"), ("genre", "validation", "accuracy"), ("", "train", "steps")} <= numbers
    check_dashboard({name: {label for labels, _ in found for label in labels} for name, found in read.items()})
    events = (tmp_path / "told.txt").read_text().splitlines()
    kinds = [line.split()[0] for line in events]
    assert (kinds[0], kinds[-1]) == ("started", "interrupted") and "worker_lost" in kinds[1:-1]


def check_dashboard(labels: dict[str, set[str]]) -> None:
    """Assert that each query asks for metrics that there are, and for labels that they have."""
    import ray

    own = (Path(ray.__file__).parent / "dashboard/modules/metrics/dashboards/default_dashboard_panels.py").read_text()
    assert all(name in own for name in ONLY_WITH_GPUS)
    for query in queries():
        asked = re.findall(r"(ray_\w+)(?:\{(.*?)\})?", query)
        assert asked, query
        for name, matchers in asked:
            if name not in ONLY_WITH_GPUS:
                assert name in labels, f"{query}: there is no metric {name}"
                assert set(re.findall(r"(\w+)=~?\"", matchers)) <= labels[name], query
        for grouped in re.findall(r"by \((.*?)\)", query):
            (name, _), *_ = asked
            assert set(grouped.split(", ")) <= labels[name], query
