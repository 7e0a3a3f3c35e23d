"""Versions of the client and the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from descant_cluster.job import difference, versions


def test_the_same_versions_fit() -> None:
    assert difference(versions(), versions()) is None
    assert difference({}, versions()) is None


@pytest.mark.parametrize("name", ["Python", "Ray"])
def test_another_version_is_one_sentence_and_nothing_trains(name: str) -> None:
    client = {**versions(), name: "1.0"}
    done = subprocess.run(
        [sys.executable, "-m", "descant_cluster.job", "none.yaml"],
        env=os.environ | {"DESCANT_CLIENT": json.dumps(client)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"descant: the cluster runs {name} {versions()[name]} and the client 1.0: submit from"
    )
    assert done.stderr.count("\n") == 1
