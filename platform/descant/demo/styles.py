"""The eight styles of the demo music: what tells them apart is rhythm and harmony more than timbre.

Patterns have one character per step of a bar. Drums: ``x`` loud, ``o`` soft, ``.`` silent. Comp (chords): ``x`` a
new chord hit. Bass: ``1`` root, ``3`` third, ``5`` fifth, ``8`` octave of the chord. Melody: the digit is the
chance in tenths that a note begins at this step. Instruments are shared between styles on purpose: a mean
spectrum alone must not give the style away.
"""

from __future__ import annotations

from dataclasses import dataclass

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
LYDIAN = (0, 2, 4, 6, 7, 9, 11)


@dataclass(frozen=True)
class Style:
    """How one style is composed; the module's text explains the patterns, degrees count from 0 on ``scale``."""

    name: str
    tempo_bpm: tuple[float, float]
    beats: int
    steps: int
    scale: tuple[int, ...]
    progressions: tuple[tuple[int, ...], ...]
    chord_notes: int
    kick: tuple[str, ...]
    snare: tuple[str, ...]
    hat: tuple[str, ...]
    comp: tuple[str, ...]
    comp_steps: float
    bass: tuple[str, ...]
    bass_steps: float
    melody: str
    melody_steps: float
    lead: tuple[str, ...]
    chords: tuple[str, ...]


STYLES: tuple[Style, ...] = (
    Style(
        "Ambient", (50.0, 80.0), 4, 16, LYDIAN, ((0, 1), (0, 4, 3, 1), (0, 2)), 4,
        kick=("................",), snare=("................",), hat=("................", "o.......o......."),
        comp=("x...............",), comp_steps=18.0, bass=("1...............", "1.......5......."), bass_steps=9.0,
        melody="3000002000300020", melody_steps=6.0, lead=("flute", "bell", "piano"), chords=("pad", "organ"),
    ),
    Style(
        "Waltz", (140.0, 200.0), 3, 12, MAJOR, ((0, 4, 4, 0), (0, 3, 4, 0), (0, 5, 1, 4)), 3,
        kick=("x...........", "............"), snare=("....o...o...", "............"), hat=("....o...o...",),
        comp=("....x...x...",), comp_steps=2.0, bass=("1...........",), bass_steps=4.0,
        melody="900070007030", melody_steps=4.0, lead=("flute", "piano", "reed"), chords=("piano", "pluck", "organ"),
    ),
    Style(
        "March", (100.0, 126.0), 2, 8, MAJOR, ((0, 0, 4, 0), (0, 3, 4, 4), (0, 4, 0, 3)), 3,
        kick=("x...x...", "x......."), snare=("o.xxo.x.", "o.x.oxxx", "ooxoooxo"), hat=("........", "....o..."),
        comp=("..x...x.",), comp_steps=1.0, bass=("1...5...", "1...3..."), bass_steps=2.0,
        melody="90069006", melody_steps=2.0, lead=("reed", "flute", "saw"), chords=("reed", "organ", "pluck"),
    ),
    Style(
        "Swing", (120.0, 200.0), 4, 12, DORIAN, ((0, 3, 6, 2), (1, 4, 0, 0), (0, 3, 0, 4)), 4,
        kick=("o..o..o..o..", "............"), snare=("............", "...o.......o"),
        hat=("x..x.xx..x.x", "x..x.ox..x.o"),
        comp=("..x.....x...", "x....x......", ".....x.....x"), comp_steps=1.0,
        bass=("1..3..5..3..", "1..5..8..5..", "8..5..3..1.."), bass_steps=3.0,
        melody="304506404506", melody_steps=1.5, lead=("reed", "piano", "flute"), chords=("piano", "pluck", "organ"),
    ),
    Style(
        "Dub", (64.0, 88.0), 4, 16, MINOR, ((0, 3), (0, 6), (0, 5, 3, 0)), 3,
        kick=("........x.......", "x.......x......."), snare=("........x.......", "........x.....o."),
        hat=("..o...o...o...o.", "o.x.o.x.o.x.o.x."), comp=("....x.......x...", "..x...x...x...x."), comp_steps=1.0,
        bass=("..11..3.5.......", "1..1..3.....5.5.", "1.....5.8..5...."), bass_steps=2.0,
        melody="0030002000300030", melody_steps=2.0, lead=("reed", "saw", "organ"), chords=("organ", "piano", "pluck"),
    ),
    Style(
        "Techno", (120.0, 140.0), 4, 16, MINOR, ((0,), (0, 0, 0, 5), (0, 6)), 3,
        kick=("x...x...x...x...",), snare=("................", "....x.......x..."),
        hat=("..x...x...x...x.", "o.x.o.x.o.x.o.x."),
        comp=("..x..x....x..x..", "x..x..x...x.....", "...x......x....."), comp_steps=1.0,
        bass=("..1...1...1...1.", ".111.111.111.111", "..11..18..11..15"), bass_steps=0.9,
        melody="4020402040204020", melody_steps=0.8, lead=("saw", "pluck", "organ"), chords=("saw", "pad", "organ"),
    ),
    Style(
        "Breakbeat", (150.0, 178.0), 4, 16, DORIAN, ((0, 5), (0, 3, 0, 6), (0, 2)), 4,
        kick=("x.........x.....", "x.x.......x.....", "x..x......x....."),
        snare=("....x..o.o..x..o", "....x.......x.o.", "....x..o.o....x."),
        hat=("x.x.x.x.x.x.x.x.", "x.xxx.x.x.xxx.x."), comp=("x...............", "x..x............"), comp_steps=10.0,
        bass=("1.........5.....", "1.....8........."), bass_steps=6.0,
        melody="2000003000020000", melody_steps=4.0, lead=("bell", "saw", "pluck"), chords=("pad", "saw", "piano"),
    ),
    Style(
        "Etude", (66.0, 104.0), 4, 16, MINOR, ((0, 3, 6, 2, 5, 1, 4, 0), (0, 4, 0, 4), (0, 5, 3, 4)), 3,
        kick=("................",), snare=("................",), hat=("................", "o...o...o...o..."),
        comp=("................", "x..............."), comp_steps=8.0,
        bass=("1.......5.......", "1...5...8...5..."), bass_steps=4.0,
        melody="9999999999999999", melody_steps=1.0, lead=("pluck", "piano", "bell", "organ"), chords=("pad", "organ"),
    ),
)  # fmt: skip
