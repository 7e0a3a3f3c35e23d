"""Groups the members of a tar into samples by key, and judges duplicates, interleaving and damage."""

from __future__ import annotations

from typing import NamedTuple

from descant.data.tar import Entry, Walker

MAX_MEMBER_BYTES = 2**30  # a member is read whole into memory
MAX_EXTENSIONS = 64  # of a shard: each is a column over all samples
Sample = dict[bytes, tuple[int, int]]  # extension -> (offset, size) of the data


class Fault(NamedTuple):
    """What is wrong, at which key (or empty) and byte; ``of_no_sample`` where every sample is whole without it."""

    key: bytes
    offset: int
    says: str
    of_no_sample: bool = False


def collect_samples(descriptor: int, size_bytes: int) -> tuple[dict[bytes, Sample], list[Fault], str]:
    """Walk the open tar; return its sound samples by key, in file order, all that is wrong, and the file's digest."""
    collector = _Collector()
    walker = Walker(descriptor, size_bytes)
    for entry in walker:
        collector.add(entry)
    return *collector.finish(), walker.digest()


class _Collector:
    def __init__(self) -> None:
        self.samples: dict[bytes, Sample] = {}
        self.faults: list[Fault] = []
        self._key = b""
        self._run: Sample = {}  # the members of one key that lie together
        self._suspects: dict[bytes, int] = {}  # key -> byte: samples next to damage, which may lack members
        self._broken: dict[bytes, tuple[int, str]] = {}
        self._after_damage = False
        self._extensions: set[bytes] = set()
        self._unread: list[tuple[bytes, int]] = []  # key and byte of members of other extensions

    def add(self, entry: Entry) -> None:
        if entry.damage:
            self._damage(entry)
            return
        head, slash, base = entry.name.rpartition(b"/")
        stem, _, extension = base.partition(b".")
        nameless = "" if stem and extension else "has no name of the form KEY.EXTENSION, so it belongs to no sample"
        refused = entry.fault or _unsafe(entry.name) or _too_large(entry.size) or nameless
        if refused:
            says = f"the member {refused}; it is not read"
            self.faults.append(Fault(entry.name, entry.offset, says, of_no_sample=bool(nameless)))
            return
        key = head + slash + stem
        if key != self._key:
            self._flush()
            self._key = key
        if self._after_damage:
            self._suspects[key] = entry.offset
            self._after_damage = False
        extension = extension.lower()
        if extension in self._run:
            name = extension.decode("utf-8", "backslashreplace")
            self.faults.append(Fault(key, entry.offset, f"a second member {name!r} of this key; the first one is used"))
            return
        if not self._admits(extension):
            self._unread.append((key, entry.offset))
            return
        self._run[extension] = (entry.offset, entry.size)

    def _admits(self, extension: bytes) -> bool:
        if len(self._extensions) < MAX_EXTENSIONS:
            self._extensions.add(extension)
        return extension in self._extensions

    def _damage(self, entry: Entry) -> None:
        self.faults.append(Fault(entry.name, entry.offset, entry.fault))
        if self._key:
            self._suspects[self._key] = entry.offset
            if entry.doubts_previous:
                self._broken[self._key] = (entry.offset, "the stated size of its last member may be wrong")
        if entry.name:  # a member whose data are cut off, or whose stated size is wrong
            base = entry.name.rpartition(b"/")
            key = base[0] + base[1] + base[2].partition(b".")[0]
            self._broken[key] = (entry.offset, "one of its members cannot be read")
        self._after_damage = True

    def _flush(self) -> None:
        run, self._run = self._run, {}
        if not run:
            return
        offset = next(iter(run.values()))[0]
        known = self.samples.get(self._key)
        if known is None:
            self.samples[self._key] = run
        elif known.keys() & run.keys():
            self.faults.append(Fault(self._key, offset, "a second sample with this key; only the first one is read"))
        else:
            known.update(run)
            fault = "interleaved with other keys: its members do not lie together, as after tar without --sort=name"
            self.faults.append(Fault(self._key, offset, fault))

    def finish(self) -> tuple[dict[bytes, Sample], list[Fault]]:
        """Leave out samples that damage has made incomplete: those that lack what a sample with the same and more has.

        A sample next to damage of which no other has more is kept: nothing shows that it had more itself.
        """
        self._flush()
        if self._unread:
            self.faults.append(Fault(*self._unread[0], _too_many(len(self._unread))))
        kinds = {frozenset(sample) for sample in self.samples.values()}
        for key, offset in self._suspects.items():
            if key in self.samples and any(kind > self.samples[key].keys() for kind in kinds):
                self._broken.setdefault(key, (offset, "members of it are lost in the damaged part"))
        for key, (offset, reason) in self._broken.items():
            if self.samples.pop(key, None) is not None:
                self.faults.append(Fault(key, offset, f"this sample is left out: {reason}"))
        return self.samples, self.faults


def _too_large(size: int) -> str:
    return f"has {size} bytes, allowed are {MAX_MEMBER_BYTES}" if size > MAX_MEMBER_BYTES else ""


def _too_many(members: int) -> str:
    return (
        f"the shard has more than {MAX_EXTENSIONS} different extensions, so {members} members from here on are not "
        f"read; a key ends at the first dot of the file name, so names such as n01440764.10026.jpg give one extension "
        f"each: rename them without inner dots"
    )


def _unsafe(name: bytes) -> str:
    """Say why a member's name is refused, empty when it is not."""
    if name.startswith(b"/"):
        return "has an absolute path"
    if b".." in name.split(b"/"):
        return "has '..' in its path"
    return ""
