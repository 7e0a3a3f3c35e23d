"""The fields of one 512-byte tar header.

Format: POSIX.1-2017 "pax Interchange Format" and the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import zlib

BLOCK = 512
MAGIC = b"ustar"
MAGIC_AT = 257


def is_sound(block: bytes) -> bool:
    """Is the header's checksum right?"""
    field = block[148:156]
    stated = _octal(field)
    if stated is None:
        return False
    # The low half of Adler-32 is 1 + the sum of the bytes, exact up to 256 bytes and ten times faster than sum().
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    if total - sum(field) + 256 == stated:
        return True
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)  # some old tars sum signed bytes
    return signed - sum(byte - 256 if byte > 127 else byte for byte in field) + 256 == stated


def stated_size(block: bytes) -> int:
    """Return the size in bytes that a header states, -1 when it states none."""
    field = block[124:136]
    if field[0] == 0x80:  # base 256, for members of 8 GiB and more
        return int.from_bytes(field[1:], "big")
    size = 0 if not field.strip(b" \0") else _octal(field)
    return -1 if size is None else size


def _octal(field: bytes) -> int | None:
    """Return an octal number with its blanks, None where there is something else: int() also takes signs and _."""
    digits = field.split(b"\0", 1)[0].strip(b" ")
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def stated_name(block: bytes) -> bytes:
    """Return the name that a header states, with its prefix where the format has one."""
    name = block[:100].split(b"\0", 1)[0]
    if block[345] and block[MAGIC_AT : MAGIC_AT + 6] == b"ustar\0":  # GNU's own format has other fields there
        return block[345:500].split(b"\0", 1)[0] + b"/" + name
    return name


def pax_records(payload: bytes) -> dict[str, bytes] | None:
    """Return what the walk needs of PAX records "LENGTH KEYWORD=VALUE\\n"; None when they are damaged.

    That is ``path``, ``size``, and under ``keywords`` one that says that the member is a sparse file.
    """
    records: dict[str, bytes] = {}
    position = 0
    while position < len(payload) and payload[position]:
        space = payload.find(b" ", position, position + 20)
        digits = payload[position:space] if space > 0 else b""
        if not digits.isdigit():
            return None
        length = int(digits)
        record = payload[space + 1 : position + length]
        keyword, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or position + length > len(payload):
            return None
        if keyword in (b"path", b"size"):
            records[keyword.decode()] = value
        elif keyword.startswith(b"GNU.sparse"):
            records["keywords"] = keyword
        position += length
    return records
