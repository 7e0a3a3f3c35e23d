"""moto's S3 server with a folder's files in the bucket ``bucket`` from its first answer on: FOLDER PREFIX PORT."""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: str, prefix: str, port: str) -> None:
    """Serve until killed."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import run_simple

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket("bucket", "us-east-1")
    for path in Path(folder).iterdir():
        backend.put_object("bucket", f"{prefix}/{path.name}", path.read_bytes())
    run_simple("127.0.0.1", int(port), DomainDispatcherApplication(create_backend_app), threaded=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
