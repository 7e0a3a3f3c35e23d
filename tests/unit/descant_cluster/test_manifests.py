"""The manifests for clusters: right by their schemas, and right with each other."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.autoscaler import __file__ as autoscaler
from ray.autoscaler._private.util import prepare_config, validate_config

from kubernetes_schema import SCHEMAS

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "cluster" / "manifests"
LABEL = {"app.kubernetes.io/part-of": "descant"}
SHARED = "/shared"


def manifest(name: str) -> dict[str, Any]:
    """Return one manifest."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return loaded


def errors(name: str, content: dict[str, Any]) -> list[str]:
    """Return what a manifest's schema says against it."""
    return [error.message for error in jsonschema.Draft7Validator(SCHEMAS[name]).iter_errors(content)]


def cluster_spec(name: str) -> dict[str, Any]:
    """Return the specification of a manifest's Ray cluster."""
    spec = manifest(name)["spec"]
    return spec if name == "raycluster" else spec["rayClusterSpec"]


def templates(name: str) -> Iterator[dict[str, Any]]:
    """Yield every pod template of a manifest."""
    spec, cluster = manifest(name)["spec"], cluster_spec(name)
    yield cluster["headGroupSpec"]["template"]
    yield from (group["template"] for group in cluster["workerGroupSpecs"])
    if "submitterPodTemplate" in spec:
        yield spec["submitterPodTemplate"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_manifests_fit_their_schemas(name: str) -> None:
    assert errors(name, manifest(name)) == []


@pytest.mark.parametrize("breach", ["no authentication", "no requests", "inlined token", "root", "misspelt"])
def test_the_schema_refuses(breach: str) -> None:
    content = copy.deepcopy(manifest("raycluster"))
    spec = content["spec"]
    worker = spec["workerGroupSpecs"][0]["template"]["spec"]
    if breach == "no authentication":
        del spec["authOptions"]
    elif breach == "no requests":
        del worker["containers"][0]["resources"]["requests"]
    elif breach == "inlined token":
        worker["containers"][0]["envFrom"] = [{"secretRef": {"name": "token"}}]
    elif breach == "root":
        worker["securityContext"]["runAsUser"] = 0
    else:
        spec["authOption"] = spec["authOptions"]
    assert errors("raycluster", content)


@pytest.mark.parametrize(("name", "kind"), [("raycluster", "rayclusters"), ("rayjob", "rayjobs")])
def test_manifests_fit_the_published_definitions(name: str, kind: str) -> None:
    folder = os.environ.get("DESCANT_KUBERAY_CRDS")
    if not folder:
        pytest.skip("reads KubeRay's definitions: set DESCANT_KUBERAY_CRDS to their folder")
    published = yaml.load((Path(folder) / f"ray.io_{kind}.yaml").read_text(), yaml.CSafeLoader)
    version = next(version for version in published["spec"]["versions"] if version["name"] == "v1")
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {}
    jsonschema.validate(manifest(name), schema)
    misspelt = {**manifest(name), "spec": {**manifest(name)["spec"], "suspended": True}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(misspelt, schema)


def closed(schema: Any) -> Any:
    """Return a schema of Kubernetes as JSON schema, in which fields that are not named are refused."""
    if isinstance(schema, list):
        return [closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: closed(value) for key, value in schema.items()}
    if kept.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
    if kept.get("type") == "object" and "properties" in kept and not kept.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def test_the_job_starts_the_same_cluster() -> None:
    assert cluster_spec("rayjob") == cluster_spec("raycluster")


def test_ray_is_the_pinned_one() -> None:
    pinned = re.search(r"^ray==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert cluster_spec("raycluster")["rayVersion"] == pinned[1] == ray.__version__


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_pods_are_those_of_the_policy_and_the_monitor(name: str) -> None:
    policy, monitor = manifest("network")["spec"], manifest("monitor")["spec"]
    assert policy["podSelector"]["matchLabels"] == monitor["selector"]["matchLabels"] == LABEL
    assert [rule for rule in policy["ingress"] if "ports" not in rule] == [
        {"from": [{"podSelector": {"matchLabels": LABEL}}]}
    ]
    for template in templates(name):
        assert LABEL.items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_mounts_and_ports_name_what_there_is(name: str) -> None:
    claim, scraped = manifest("storage")["metadata"]["name"], manifest("monitor")["spec"]["podMetricsEndpoints"]
    open_ports = {port["port"] for rule in manifest("network")["spec"]["ingress"] for port in rule.get("ports", [])}
    head, *workers = (template["spec"] for template in list(templates(name))[:3])
    for pod in (head, *workers):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        (container,) = pod["containers"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) == set(volumes)
        assert volumes[mounts[SHARED]]["persistentVolumeClaim"]["claimName"] == claim
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert {ports[endpoint["port"]] for endpoint in scraped} <= open_ports
    assert {port["name"]: port["containerPort"] for port in head["containers"][0]["ports"]}["dashboard"] in open_ports


def test_a_worker_fits_its_pod_and_the_pools_hold_the_range() -> None:
    words = dict(word.split("=", 1) for word in manifest("rayjob")["spec"]["entrypoint"].split() if "=" in word)
    groups = {group["groupName"]: group for group in cluster_spec("rayjob")["workerGroupSpecs"]}
    least, most = yaml.safe_load(words["run.workers"])
    assert groups["gpu"]["minReplicas"] == least, "what a run cannot do without is on machines that stay"
    assert sum(group["maxReplicas"] for group in groups.values()) == most
    for group in groups.values():
        resources = group["template"]["spec"]["containers"][0]["resources"]
        assert resources["limits"] == resources["requests"], "a pod that may be squeezed is evicted first"
        assert resources["requests"]["nvidia.com/gpu"] == words["run.gpus_per_worker"]
    assert words["run.dir"].startswith(SHARED) and words["data"].startswith(SHARED)
    assert "nodeSelector" in groups["spot"]["template"]["spec"]


def test_the_job_command_is_a_recipe_that_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from descant.recipe import compose, parse_recipe

    program, command, recipe, *overrides = manifest("rayjob")["spec"]["entrypoint"].split()
    assert (program, command) == ("descant", "train")
    parsed = parse_recipe(compose(recipe, overrides))
    assert parsed.run.workers == (2, 8) and parsed.run.address == "auto"


def test_cloud_machines_fit_rays_own_schema() -> None:
    cloud = manifest("aws")
    schema = json.loads((Path(autoscaler).parent / "ray-schema.json").read_text())
    jsonschema.validate(cloud, schema)
    validate_config(prepare_config(cloud))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cloud, "max_worker": 8}, schema)


def test_cloud_machines_are_closed_to_strangers() -> None:
    cloud = manifest("aws")
    (head,) = [line for line in cloud["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in head
    assert "--env RAY_AUTH_MODE=token" in cloud["docker"]["run_options"]
    assert cloud["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    for rule in cloud["provider"]["security_group"]["IpPermissions"]:
        assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
        assert all(allowed["CidrIp"] != "0.0.0.0/0" for allowed in rule["IpRanges"])


def test_cloud_pools() -> None:
    cloud = manifest("aws")
    types = cloud["available_node_types"]
    assert types[cloud["head_node_type"]]["resources"]["CPU"] == 0
    assert types["spot"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert sum(kind.get("max_workers", 0) for kind in types.values()) == cloud["max_workers"]
    assert not cloud["provider"]["cache_stopped_nodes"]


def test_all_images_are_the_one_that_is_built() -> None:
    from descant import __version__

    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    assert set(re.findall(r"image: (\S+)", text)) == {f"descant:{__version__}"}
    assert f"descant:{__version__}" in (FOLDER / "Dockerfile").read_text()


def test_no_secret_is_written_out() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert not re.search(r"(?i)(RAY_AUTH_TOKEN|password|secret_?access_?key)\S*\s*[:=]\s*\S", text), path
