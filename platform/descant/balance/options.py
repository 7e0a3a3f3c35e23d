"""What the constructors of balancers share: options within their range."""

from descant.ranges import Ranges

_RANGES = Ranges("balancer")
number_above = _RANGES.number_above
number_from = _RANGES.number_from
number_within = _RANGES.number_within
whole_from = _RANGES.whole_from
