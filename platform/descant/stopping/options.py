"""What the constructors of stop rules share: options within their range."""

from descant.ranges import Ranges

_RANGES = Ranges("stop rule", " of evaluations")
number_from = _RANGES.number_from
number_within = _RANGES.number_within
whole_from = _RANGES.whole_from
