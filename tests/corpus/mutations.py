"""Shards that are wrong in every way that we know of, each a pure function of its seed.

Members are first put together wrongly, then bytes are changed. ``MUTATIONS`` names the ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from corpus.shards import BLOCK, Shard, sound_shards

Rng = np.random.Generator


@dataclass(frozen=True)
class Mutated:
    """A mutated shard.

    Attributes:
        seed: that made it.
        name: the way it is wrong.
        shard: its members, as they were put together, before bytes were changed.
        raw: the bytes of the file.
    """

    seed: int
    name: str
    shard: Shard
    raw: bytes


def corpus(first: int, count: int) -> Iterator[Mutated]:
    """Yield ``count`` mutated shards from the seed ``first`` on."""
    sound = sound_shards()
    names = list(MUTATIONS)
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        shard, name = sound[rng.integers(len(sound))], names[seed % len(names)]
        yield Mutated(seed, name, *MUTATIONS[name](shard, rng))


def _bytes(change: Callable[[Shard, bytearray, Rng], None]) -> Callable[[Shard, Rng], tuple[Shard, bytes]]:
    def mutate(shard: Shard, rng: Rng) -> tuple[Shard, bytes]:
        raw = bytearray(shard.raw)
        change(shard, raw, rng)
        return shard, bytes(raw)

    return mutate


def _members(change: Callable[[list, Rng], None]) -> Callable[[Shard, Rng], tuple[Shard, bytes]]:
    def mutate(shard: Shard, rng: Rng) -> tuple[Shard, bytes]:
        members = list(shard.members)
        change(members, rng)
        changed = replace(shard, members=members)
        return changed, changed.raw

    return mutate


def _pick(shard: Shard, rng: Rng) -> tuple[int, int]:
    """Return the number of a member and the byte where it starts."""
    number = int(rng.integers(len(shard.members)))
    return number, shard.starts()[number]


def _own_header(shard: Shard, rng: Rng) -> tuple[int, int]:
    """Return the number of a member and the byte where its own header starts, behind those of a long name."""
    number, start = _pick(shard, rng)
    return number, start + len(shard.members[number].headers) - BLOCK


def flip_header(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Change one byte of a header: its check sum notices. Two bytes can cancel out."""
    number, start = _pick(shard, rng)
    blocks = len(shard.members[number].headers) // BLOCK
    block = int(rng.choice([0, blocks - 1]))
    raw[start + block * BLOCK + int(rng.integers(BLOCK))] ^= int(rng.integers(1, 256))


def flip_data(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Flip bits anywhere but in members' own headers: in data, long names and PAX records, which have no check sum."""
    for _ in range(int(rng.integers(1, 9))):
        number, start = _pick(shard, rng)
        member = shard.members[number]
        places = [*range(BLOCK, len(member.headers) - BLOCK), *range(len(member.headers), len(member.blob))]
        if places:
            raw[start + int(rng.choice(places))] ^= 1 << int(rng.integers(8))


def flip_anywhere(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Flip many bits anywhere."""
    for place in rng.integers(0, len(raw), int(rng.integers(1, 200))):
        raw[place] ^= 1 << int(rng.integers(8))


def flip_tail(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Change a byte of what fills a member's last block, or of the end mark."""
    number, start = _pick(shard, rng)
    member = shard.members[number]
    data_end = start + len(member.headers) + len(member.data)
    places = [*range(data_end, start + len(member.blob)), shard.starts()[-1] + int(rng.integers(2 * BLOCK))]
    raw[int(rng.choice(places))] ^= int(rng.integers(1, 256))


def cut(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Cut the file at a boundary of some kind, or near it, or anywhere."""
    number, start = _pick(shard, rng)
    member, mark = shard.members[number], shard.starts()[-1]
    data = start + len(member.headers)
    places = [start, start + 100, data, data + len(member.data) // 2, data + len(member.data), start + len(member.blob)]
    places += [start + BLOCK, data + len(member.data) + 1, mark, mark + 100, mark + BLOCK, mark + BLOCK + 100]
    places += [mark + 2 * BLOCK, int(rng.integers(len(raw) + 1))]
    del raw[max(0, int(rng.choice(places)) + int(rng.integers(-1, 2))) :]


def overwrite(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """Put zeros or noise over some blocks."""
    start = int(rng.integers(len(raw) // BLOCK)) * BLOCK
    end = min(len(raw), start + BLOCK * int(rng.integers(1, 6)))
    raw[start:end] = bytes(end - start) if rng.integers(2) else rng.bytes(end - start)


def lie(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """State another size, and make the header's check sum right again."""
    number, header = _own_header(shard, rng)
    size, starts = len(shard.members[number].data), shard.starts()
    later = int(starts[int(rng.integers(number + 1, len(starts)))]) - header - BLOCK
    sizes = [0, 1, size // 2, size - 1, size + 1, size + 100, size + BLOCK, size + 5 * BLOCK, later, later + BLOCK]
    octal = b"%011o\0" % max(0, int(rng.choice([*sizes, later - 1, len(raw), 8**11 - 1])))
    wide = b"\x80" + int(rng.choice([size, size + BLOCK, 2**62])).to_bytes(11, "big")
    strange = [
        b"-0000000001\0",
        b"\xff" * 12,
        b"\x80" + b"\xff" * 11,
        b"0o000000010\0",
        b"1_000000000\0",
        b"+0000000100\0",
    ]
    strange += [b"99999999999\0", b" " * 12, bytes(12), b"\xc0" + bytes(11), rng.bytes(12)]
    field = [octal, octal, octal, wide, strange[int(rng.integers(len(strange)))]][int(rng.integers(5))]
    raw[header + 124 : header + 136] = field
    sign(raw, header)


def lie_about_name(shard: Shard, raw: bytearray, rng: Rng) -> None:
    """State another size in the header of a long name or of PAX records."""
    number, start = _pick(shard, rng)
    if len(shard.members[number].headers) > BLOCK:
        raw[start + 124 : start + 136] = b"%011o\0" % int(rng.choice([0, 1, 100, 511, 513, 2000, 2**30]))
        sign(raw, start)


def sign(raw: bytearray, header: int) -> None:
    """Make a header's check sum right."""
    raw[header + 148 : header + 156] = b" " * 8
    raw[header + 148 : header + 156] = b"%06o\0 " % sum(raw[header : header + BLOCK])


def swap(members: list, rng: Rng) -> None:
    """Exchange two members."""
    one, other = rng.integers(len(members), size=2)
    members[one], members[other] = members[other], members[one]


def duplicate(members: list, rng: Rng) -> None:
    """Store one to three members again somewhere else."""
    start = int(rng.integers(len(members)))
    place = int(rng.integers(len(members) + 1))
    members[place:place] = members[start : start + int(rng.integers(1, 4))]


def interleave(members: list, rng: Rng) -> None:
    """Deal the members of two neighbouring samples in turn, or shuffle all."""
    if rng.integers(4) == 0:
        order = rng.permutation(len(members))
        members[:] = [members[number] for number in order]
        return
    keys = list(dict.fromkeys(member.key for member in members))
    first = int(rng.integers(len(keys) - 1))
    pair = [[member for member in members if member.key == key] for key in keys[first : first + 2]]
    start = members.index(pair[0][0])
    dealt = [member for both in zip(*pair, strict=False) for member in both]
    rest = [member for group in pair for member in group if member not in dealt]
    members[start : start + len(dealt) + len(rest)] = dealt + rest


def _both(first: str, second: str) -> Callable[[Shard, Rng], tuple[Shard, bytes]]:
    def mutate(shard: Shard, rng: Rng) -> tuple[Shard, bytes]:
        return MUTATIONS[second](MUTATIONS[first](shard, rng)[0], rng)

    return mutate


MUTATIONS: dict[str, Callable[[Shard, Rng], tuple[Shard, bytes]]] = {
    "header": _bytes(flip_header),
    "data": _bytes(flip_data),
    "anywhere": _bytes(flip_anywhere),
    "tail": _bytes(flip_tail),
    "cut": _bytes(cut),
    "overwrite": _bytes(overwrite),
    "size": _bytes(lie),
    "name size": _bytes(lie_about_name),
    "swap": _members(swap),
    "duplicate": _members(duplicate),
    "interleave": _members(interleave),
    "swap, cut": _both("swap", "cut"),
    "swap, header": _both("swap", "header"),
    "duplicate, size": _both("duplicate", "size"),
    "interleave, header": _both("interleave", "header"),
}
