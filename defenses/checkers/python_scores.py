"""How likely a weakness is real, by who decides the dangerous value.

Each profile is a probability for each level of certainty: a shell or a query built from anything is
nearly always wrong, while a file named by a parameter is the daily work of a library.
"""

from collections.abc import Mapping, Sequence

from bluecode.defenses.checkers.python_values import Level, Tag

Profile = Mapping[Level, float]


def _profile(
    unknown: float,
    own: float,
    private: float,
    parameter: float,
    stored: float,
    typed: float,
    request: float,
) -> Profile:
    return {
        Level.NONE: 0.0,
        Level.UNKNOWN: unknown,
        Level.FIELD: own,
        Level.PRIVATE: private,
        Level.PARAMETER: parameter,
        Level.STORED: stored,
        Level.INPUT: typed,
        Level.REQUEST: request,
    }


SHELL = _profile(0.72, 0.72, 0.75, 0.8, 0.72, 0.82, 0.95)
SQL = _profile(0.8, 0.8, 0.8, 0.8, 0.8, 0.82, 0.96)
SQL_NAME = _profile(0.2, 0.2, 0.3, 0.52, 0.3, 0.5, 0.9)
CODE = _profile(0.55, 0.52, 0.6, 0.75, 0.6, 0.85, 0.96)
OBJECTS = _profile(0.52, 0.5, 0.6, 0.74, 0.5, 0.75, 0.95)
TEMPLATE = _profile(0.3, 0.3, 0.45, 0.7, 0.45, 0.7, 0.94)
QUERY = _profile(0.5, 0.5, 0.55, 0.72, 0.55, 0.7, 0.92)
MARKUP = _profile(0.3, 0.3, 0.5, 0.6, 0.5, 0.5, 0.9)
FILES = _profile(0.0, 0.0, 0.3, 0.56, 0.3, 0.3, 0.88)
ARGUMENTS = _profile(0.0, 0.0, 0.3, 0.4, 0.4, 0.3, 0.75)
NETWORK = _profile(0.0, 0.0, 0.2, 0.3, 0.3, 0.2, 0.88)
RESOLVED = _profile(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.45)
"""A request to an address that the snippet looks at first."""
PATTERN = _profile(0.0, 0.0, 0.2, 0.3, 0.2, 0.2, 0.72)
ONLY_REQUESTS = _profile(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.85)


def score(profile: Profile, tags: Sequence[Tag]) -> float:
    """The probability for the surest of the tags."""
    return max((profile[tag.level] for tag in tags), default=0.0)


TOLD = 0.55
"""What a parameter scores at least whose function says of itself that users give it its values."""
WORTH_SAYING = 0.4
"""Claims below this are not made at all: nobody could act on them."""
