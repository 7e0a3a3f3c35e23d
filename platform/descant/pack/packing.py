"""What all formats share: records in, shards out, in parallel, counted exactly, going on after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from descant import __version__
from descant.data.description import Description, Field
from descant.errors import UserError
from descant.pack.record import Format, LeftOut, PackedSample, Plan, RawRecord
from descant.pack.workplace import Workplace
from descant.pack.writer import SHARD_SIZE, DataSetWriter
from descant.parallel import Progress, in_order

_USUAL = 0.9  # audio shorter than this share of the usual length is kept, but named


def pack(
    layout: Format,
    source: Path,
    out: Path,
    *,
    seed: int = 0,
    jobs: int | None = None,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Description:
    """Pack raw data into a data set.

    The same source, options and seed give the same bytes, whatever ``jobs`` is. Called again with the same arguments
    after its process was killed, it keeps the shards that were whole.

    Args:
        layout: the format of the source, with its options.
        source: the raw data.
        out: the data set to be made.
        seed: of what is drawn.
        jobs: processes; all cores if None.
        shard_size: bytes of a shard.
        overwrite: replace the data set in ``out``.
        on_progress: called with (records done, records in all).

    Raises:
        UserError: the source is not of this format, nothing in it can be packed, a split or class stays empty, or
            ``out`` holds something.
        RunError: the disk is full, or a process was killed.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}: give 0 or more")
    Workplace(out, overwrite)  # so that what cannot be written is said before a long reading
    with tempfile.TemporaryDirectory(prefix="descant-") as scratch:
        plan = layout.plan(source, seed, Path(scratch))
        said = {
            "command": f"descant pack {layout.name}",
            "source": source.resolve().name,
            "seed": seed,
            "options": layout.options(),
            **plan.provenance,
        }
        identity = _identity(plan, [said, shard_size, __version__])
        with DataSetWriter(
            out, layout.name, plan.fields, shard_size=shard_size, overwrite=overwrite, identity=identity
        ) as writer:
            left_out = [*plan.left_out, *_write(writer, plan, jobs, on_progress)]
            return _finish(writer, plan, said, left_out)


def packer(layout: type[Format]) -> Callable[..., Description]:
    """Return ``pack_…(source, out, **options)`` of a format: it takes the format's options and those of ``pack``."""
    own = {option.name for option in fields(layout)}

    def pack_format(source: Path, out: Path, **options: Any) -> Description:
        chosen = layout(**{name: value for name, value in options.items() if name in own})
        return pack(chosen, source, out, **{name: value for name, value in options.items() if name not in own})

    pack_format.__doc__ = layout.__doc__
    return pack_format


def _write(writer: DataSetWriter, plan: Plan, jobs: int | None, on_progress: Progress | None) -> Iterable[LeftOut]:
    """Write what is not written yet, and yield what is left out."""
    todo = [number for number in range(len(plan.records)) if number not in writer.done]
    records = [plan.records[number] for number in todo]
    before, total = len(writer.done), len(plan.records)
    report = (lambda done, _: on_progress(before + done, total)) if on_progress is not None else None
    results = in_order(partial(_encode, plan.encode), records, jobs, report, plan.batch)
    for number, record, result in zip(todo, records, results, strict=True):
        if isinstance(result, PackedSample):
            writer.add(number, record.split, record.key, result)
        else:
            yield {"key": record.key, "reason": result}


def _encode(encode: Callable[[RawRecord], PackedSample], record: RawRecord) -> PackedSample | str:
    """Return a record's sample, or why it is left out."""
    try:
        return encode(record)
    except ValueError as error:
        return str(error)


def _finish(writer: DataSetWriter, plan: Plan, said: Mapping[str, Any], left_out: list[LeftOut]) -> Description:
    """Count what was found, and put the data set into its place."""
    found = len(plan.left_out) + len(plan.records)
    if len(left_out) == found:
        first = f"; the first, {left_out[0]['key']}: {left_out[0]['reason']}" if left_out else ""
        raise UserError(f"nothing in {said['source']!r} can be packed: {found} are left out{first}")
    described, lengths = _with_lengths(plan, writer.seconds())
    return writer.finish(described, {**said, "found": found, "left_out": left_out, **lengths})


def _with_lengths(plan: Plan, seconds: Mapping[int, float]) -> tuple[dict[str, Field], dict[str, list[LeftOut]]]:
    """Return the fields with the usual length of audio, and under ``shorter`` the clips that are packed but shorter.

    These are clips that decode only in part, as cut files do.
    """
    if not seconds:
        return dict(plan.fields), {}
    usual_s = statistics.median(seconds.values())
    described = {
        name: replace(field, seconds=round(usual_s, 1)) if field.rate_hz else field
        for name, field in plan.fields.items()
    }
    shorter = [
        {"key": plan.records[number].key, "reason": f"{own_s:.1f} s of the usual {usual_s:.1f} s"}
        for number, own_s in seconds.items()
        if own_s < _USUAL * usual_s
    ]
    return described, {"shorter": shorter}


def _identity(plan: Plan, settings: object) -> str:
    """Return a hash of everything that decides the data set's bytes; of files, their size and time of change."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([settings, sorted((name, repr(field)) for name, field in plan.fields.items())]).encode())
    paths: dict[Path, None] = {}
    for record in plan.records:
        parts = [(file.offset, file.size) for file in record.files]
        digest.update(repr((record.key, record.split, parts, sorted(record.labels.items()), record.detail)).encode())
        paths.update(dict.fromkeys(file.path for file in record.files))
    for path in paths:
        state = os.stat(path) if path.exists() else None
        digest.update(repr(state and (state.st_size, state.st_mtime_ns)).encode())
    return digest.hexdigest()
