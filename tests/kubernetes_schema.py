"""The fields of Kubernetes and KubeRay that the manifests use, as JSON schemas: any other field is refused.

Written from KubeRay's published definitions (versions 1.5.1 to 1.7.0, which are the same in these fields). Those have
40,000 lines, nearly all for fields that no manifest here uses, so they are not kept: a test holds the manifests
against them where DESCANT_KUBERAY_CRDS names their folder.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
QUANTITY: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"}
NAME: Schema = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}


def record(required: Schema, **optional: Schema) -> Schema:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def several(schema: Schema, least: int = 1) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema, "minItems": least}


def one_of(*values: str) -> Schema:
    """Return the schema of one of some words."""
    return {"enum": list(values)}


def document(version: str, kind: str, spec: Schema) -> Schema:
    """Return the schema of a whole manifest."""
    return record({"apiVersion": one_of(version), "kind": one_of(kind), "metadata": METADATA, "spec": spec})


METADATA = record({"name": NAME}, labels=TEXTS)
AMOUNTS: Schema = {"type": "object", "additionalProperties": QUANTITY, "required": ["cpu", "memory"]}
RESOURCES = record({"requests": AMOUNTS, "limits": AMOUNTS})
POD_SECURITY = record(
    {"runAsNonRoot": {"enum": [True]}, "runAsUser": {"type": "integer", "minimum": 1}},
    fsGroup=NUMBER,
    seccompProfile=record({"type": one_of("RuntimeDefault")}),
)
CONTAINER_SECURITY = record(
    {"allowPrivilegeEscalation": {"enum": [False]}, "capabilities": record({"drop": {"enum": [["ALL"]]}})}
)
SECRET = record({"secretKeyRef": record({"name": NAME, "key": TEXT})})
VARIABLE = {"oneOf": [record({"name": TEXT, "value": TEXT}), record({"name": TEXT, "valueFrom": SECRET})]}
CONTAINER = record(
    {"name": NAME, "image": TEXT, "resources": RESOURCES, "securityContext": CONTAINER_SECURITY},
    env=several(VARIABLE),
    ports=several(record({"name": NAME, "containerPort": NUMBER})),
    volumeMounts=several(record({"name": NAME, "mountPath": TEXT})),
)
VOLUME = {
    "oneOf": [
        record({"name": NAME, "persistentVolumeClaim": record({"claimName": NAME})}),
        record({"name": NAME, "emptyDir": record({"sizeLimit": QUANTITY})}),
    ]
}
TOLERATION = record({"key": TEXT, "operator": one_of("Exists", "Equal"), "effect": one_of("NoSchedule")}, value=TEXT)
POD = record(
    {"securityContext": POD_SECURITY, "containers": several(CONTAINER)},
    automountServiceAccountToken=YES_OR_NO,
    nodeSelector=TEXTS,
    restartPolicy=one_of("Never", "OnFailure"),
    terminationGracePeriodSeconds=NUMBER,
    tolerations=several(TOLERATION),
    volumes=several(VOLUME),
)
TEMPLATE = record({"metadata": record({"labels": TEXTS}), "spec": POD})
HEAD = record({"rayStartParams": TEXTS, "template": TEMPLATE, "serviceType": one_of("ClusterIP")})
WORKERS = record(
    {"groupName": NAME, "minReplicas": NUMBER, "maxReplicas": NUMBER, "rayStartParams": TEXTS, "template": TEMPLATE},
    replicas=NUMBER,
)
CLUSTER = record(
    {"rayVersion": TEXT, "authOptions": record({"mode": one_of("token")}), "headGroupSpec": HEAD},
    workerGroupSpecs=several(WORKERS),
    enableInTreeAutoscaling=YES_OR_NO,
    autoscalerOptions=record({"resources": RESOURCES}, version=one_of("v2"), idleTimeoutSeconds=NUMBER),
)
JOB = record(
    {"entrypoint": TEXT, "rayClusterSpec": CLUSTER, "submitterPodTemplate": TEMPLATE},
    submissionMode=one_of("K8sJobMode"),
    backoffLimit=NUMBER,
    shutdownAfterJobFinishes=YES_OR_NO,
    ttlSecondsAfterFinished=NUMBER,
)
PODS = record({"matchLabels": TEXTS})
PEER = record({"podSelector": PODS}, namespaceSelector={"enum": [{}]})
PORT = record({"protocol": one_of("TCP"), "port": NUMBER})
POLICY = record(
    {
        "podSelector": PODS,
        "policyTypes": {"enum": [["Ingress"]]},
        "ingress": several(record({"from": several(PEER)}, ports=several(PORT))),
    }
)
CLAIM = record(
    {
        "accessModes": {"enum": [["ReadWriteMany"]]},
        "resources": record({"requests": record({"storage": QUANTITY})}),
        "storageClassName": NAME,
    }
)
MONITOR = record({"selector": PODS, "podMetricsEndpoints": several(record({"port": NAME}, interval=TEXT))})

SCHEMAS: dict[str, Schema] = {
    "raycluster": document("ray.io/v1", "RayCluster", CLUSTER),
    "rayjob": document("ray.io/v1", "RayJob", JOB),
    "network": document("networking.k8s.io/v1", "NetworkPolicy", POLICY),
    "storage": document("v1", "PersistentVolumeClaim", CLAIM),
    "monitor": document("monitoring.coreos.com/v1", "PodMonitor", MONITOR),
}
"""By the manifest's file name."""
