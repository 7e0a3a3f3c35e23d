"""What a job runs on the cluster: ``python -m descant_cluster.job recipe.yaml``.

Python's version is compared before anything of the project is imported, which an older one could not read.
"""

from __future__ import annotations

import json
import os
import sys

JOB, CLIENT = "DESCANT_JOB", "DESCANT_CLIENT"
"""Variables that hold the job's name, and the versions where it was handed in."""


def versions() -> dict[str, str]:
    """Return the versions that have to fit: of Python and Ray, without their last part."""
    from importlib.metadata import version

    return {"Python": f"{sys.version_info[0]}.{sys.version_info[1]}", "Ray": ".".join(version("ray").split(".")[:2])}


def difference(client: dict[str, str], cluster: dict[str, str]) -> str | None:
    """Return the sentence about versions that do not fit, None where they do."""
    for name, there in cluster.items():
        here = client.get(name, there)
        if here != there:
            return (
                f"the cluster runs {name} {there} and the client {here}: submit from an environment of {name} {there}, "
                f"or give the cluster an image of {name} {here}"
            )
    return None


def main() -> int:
    """Train, as ``descant train`` does, and return its exit code."""
    problem = difference(json.loads(os.environ.get(CLIENT, "{}")), versions())
    if problem is not None:
        print(f"descant: {problem}", file=sys.stderr)
        return 2
    from argparse import Namespace

    from descant.cli import train
    from descant.cli.main import guarded

    again = f"descant resubmit {os.environ.get(JOB, 'JOB')}"
    # Whether the recipe may run its plugins was asked where it was handed in.
    given = Namespace(recipe=sys.argv[1], overrides=["trust=true"])
    return guarded(lambda: train.main(given, again))


if __name__ == "__main__":
    sys.exit(main())
