"""Before workers start on a cluster: each node sees the data, and reads and writes the run's folder."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.errors import RunError, UserError
from descant.files import is_full
from descant.recipe import DataSettings
from descant.run.request import RunRequest

logger = logging.getLogger("descant")
_ROOM_BYTES = 4 * 2**20  # what a node must be able to write
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Question:
    """What each node is asked.

    Attributes:
        folder: the run's folder.
        mark: the name of a file that the driver has put there.
        data: the shards that this process sees of each data set, by its folder or URL.
    """

    folder: str
    mark: str
    data: Mapping[str, Sequence[str]]

    def answer(self) -> str | None:
        """Return what is wrong on this machine, None where all is well."""
        problems = (_data(place, shards) for place, shards in self.data.items())
        return self._storage() or next((said for said in problems if said is not None), None)

    def _storage(self) -> str | None:
        folder = Path(self.folder)
        if not (folder / self.mark).exists():
            return f"does not see the run's folder {self.folder!r}: set run.dir to a folder that all nodes share"
        own = folder / f"{self.mark}.{secrets.token_hex(4)}"
        try:
            with own.open("wb") as file:
                file.write(os.urandom(_ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if is_full(error):
                return f"finds no space left for the run's folder {self.folder!r}: make room, or set another run.dir"
            return f"cannot write into the run's folder {self.folder!r} ({error.strerror}): set another run.dir"
        finally:
            own.unlink(missing_ok=True)
        return None


def probe(request: RunRequest) -> None:
    """Ask each node of the cluster that this process has joined.

    Raises:
        UserError: a node lacks something.
        RunError: a node does not answer.
    """
    from descant.data.folder import open_folder

    places = [source.data for source in DataSettings.parse(request.recipe["data"]).sources.values()]
    data = {place: open_folder(place).shards() for place in places}
    question = Question(request.folder, f".probe-{secrets.token_hex(4)}", data)
    mark = Path(request.folder) / question.mark
    mark.touch()
    try:
        problems = {name: said for name, said in _ask(question).items() if said is not None}
    finally:
        mark.unlink(missing_ok=True)
    for name, said in problems.items():
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"the node {name}{others} {said}")


def _ask(question: Question) -> Mapping[str, str | None]:
    """Return each node's answer, by its address; one that the cluster loses meanwhile is named and has none."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    task = ray.remote(num_cpus=0, max_retries=1)(_answer)
    asked: dict[str, Any] = {}
    for number, node in enumerate(nodes):
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        name = node["NodeManagerAddress"] + (f" #{number}" if _shares_machine(node, nodes) else "")
        asked[name] = task.options(scheduling_strategy=where).remote(question)
    answers: dict[str, str | None] = {}
    for name, answer in asked.items():
        try:
            answers[name] = ray.get(answer, timeout=_PATIENCE_S)
        except ray.exceptions.TaskUnschedulableError:
            logger.warning("the node %s is gone: the run goes to the others", name)
        except Exception as error:  # of any kind: it could not even be asked
            words = str(getattr(error, "cause", None) or error).strip().splitlines()
            raise RunError(
                f"the node {name} cannot run Descant ({type(error).__name__}: {words[-1] if words else ''}): give "
                f"it the same environment, or use 'descant submit', which brings the project along"
            ) from error
    return answers


def _answer(question: Question) -> str | None:
    return question.answer()


def _shares_machine(node: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> bool:
    return [other["NodeManagerAddress"] for other in nodes].count(node["NodeManagerAddress"]) > 1


def _data(place: str, shards: Sequence[str]) -> str | None:
    from descant.data.folder import open_folder

    try:
        folder = open_folder(place)
        if not folder.is_remote and folder.exists():
            os.listdir(place)
        missing = sorted({*shards} - {*folder.shards()}) if folder.exists() else list(shards)
    except PermissionError:
        return f"may not read the data set {place!r}: let the user of Ray's processes read it"
    except (OSError, UserError, RunError) as error:
        return f"cannot read the data set {place!r} ({error})"
    if missing or not folder.exists():
        lacks = "" if len(missing) == len(shards) else f" whole ({missing[0]} is not there)"
        return f"does not see the data set {place!r}{lacks}: put it where all nodes see it, or give its URL"
    return None
