"""docs/scaling.md against its model, and the model's network sizes against the networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "benchmarks"))

from scaling_model import LEVELS, TABLES, Network, Part, Plan, build_network, sizes, step_parts  # noqa: E402

PAGE = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
KINDS = ("int64", "float64", "float32", "broadcast")
NETWORK = Network(trained=1000, shared=900, norms=2, channels=30, buffer_bytes=256)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_the_models_tables(name: str) -> None:
    assert TABLES[name]() in PAGE, f"print it by 'python benchmarks/scaling_model.py': {name}"


@pytest.mark.parametrize(
    ("name", "scheme"), [*(("tcdcn", scheme) for scheme in sizes()["tcdcn"]), ("resnet50", "hard")]
)
def test_sizes_are_those_of_the_networks(name: str, scheme: str) -> None:
    assert build_network(name, scheme) == sizes()[name][scheme]


def test_what_is_sent_grows_with_the_level() -> None:
    sent = [sum(part.payload_bytes for part in step_parts(NETWORK, Plan(5, level)).values()) for level in LEVELS]
    assert sent == sorted(set(sent))
    assert [after - before for before, after in zip(sent[:-1], sent[1:], strict=True)] == [40, 200, 4 * 5 * 900]


def test_a_decision_every_fourth_step_costs_a_fourth() -> None:
    each, fourth = (step_parts(NETWORK, Plan(5, "parameter", every=every)) for every in (1, 4))
    for name in ("balance", "task gradients"):
        assert fourth[name].payload_bytes == each[name].payload_bytes / 4
    assert fourth["gradients"] == each["gradients"]


def test_one_rank_sends_nothing_and_many_send_twice_what_they_have() -> None:
    part = Part(1, 100.0)
    assert part.wire_bytes(1) == 0
    assert part.wire_bytes(2) == 100
    assert part.wire_bytes(1000) == pytest.approx(200, rel=0.01)


def test_the_measured_runs_are_those_of_the_page() -> None:
    results = json.loads((REPOSITORY / "benchmarks" / "baselines" / "x86_64-2cores-cpu.json").read_text())
    measured = results["communication"]
    assert measured and all(result["model"] == result["measured"] for result in measured.values())
    alone = [result for name, result in measured.items() if name.endswith(", 1 ranks")]
    assert alone and all(result["wire_measured"] == 0 for result in alone)
    for name, result in measured.items():
        if result not in alone:
            case, ranks = name.removesuffix(" ranks").rsplit(", ", 1)
            numbers = " | ".join(f"{result['measured'][kind]:,.0f}" for kind in KINDS)
            assert f"| {case} | {ranks} | {numbers} |" in PAGE
