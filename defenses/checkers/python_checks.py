"""What the checks on a path have ruled out: dangers by the source that was checked."""

from collections.abc import Iterable, Mapping

from bluecode.defenses.checkers.python_values import Tag, Tags, Value


class Checks:
    """Ruled-out dangers by root. Immutable; a check of a whole covers its parts."""

    __slots__ = ("_by_root", "_hash")

    def __init__(self, by_root: Mapping[str, frozenset[str]] | None = None) -> None:
        self._by_root: Mapping[str, frozenset[str]] = by_root or {}
        self._hash: int | None = None

    def __bool__(self) -> bool:
        return bool(self._by_root)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checks) and self._by_root == other._by_root

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._by_root.items()))
        return self._hash

    def __or__(self, other: "Checks") -> "Checks":
        """What either has ruled out."""
        if not other or other is self:
            return self
        if not self:
            return other
        merged = dict(self._by_root)
        for root, dangers in other._by_root.items():
            merged[root] = merged.get(root, frozenset()) | dangers
        return Checks(merged)

    def __and__(self, other: "Checks") -> "Checks":
        """What both have ruled out."""
        if other is self:
            return self
        smaller, larger = sorted((self._by_root, other._by_root), key=len)
        both = {root: dangers & larger[root] for root, dangers in smaller.items() if root in larger}
        return Checks({root: dangers for root, dangers in both.items() if dangers})

    def __sub__(self, other: "Checks") -> "Checks":
        """What only this one has ruled out."""
        if other is self:
            return NO_CHECKS
        left = {
            root: dangers - other._by_root.get(root, frozenset())
            for root, dangers in self._by_root.items()
        }
        return Checks({root: dangers for root, dangers in left.items() if dangers})

    def of(self, roots: tuple[str, ...]) -> "Checks":
        """The checks of these sources and their parts alone."""
        kept = {root: dangers for root, dangers in self._by_root.items() if root.startswith(roots)}
        return Checks(kept)

    def covers(self, root: str, danger: str) -> bool:
        while root:
            if danger in self._by_root.get(root, ()):
                return True
            root = root.rpartition(">")[0]
        return False

    def written_into(self, tags: Tags) -> Tags:
        """The tags with these checks kept in them."""
        if not tags or not self._by_root:
            return tags
        made = [self._checked(tag) for tag in tags]
        unchanged = all(new is old for new, old in zip(made, tags, strict=True))
        return tags if unchanged else frozenset(made)

    def _checked(self, tag: Tag) -> Tag:
        root, cleared = tag.root, tag.cleared
        while root:
            cleared |= self._by_root.get(root, frozenset())
            root = root.rpartition(">")[0]
        return tag if len(cleared) == len(tag.cleared) else tag._replace(cleared=cleared)


NO_CHECKS = Checks()


def ruling_out(roots: Iterable[str], dangers: Iterable[str]) -> Checks:
    wanted = frozenset(dangers)
    return Checks({root: wanted for root in roots})


def both(checks: Iterable[Checks]) -> Checks:
    """What all of them have ruled out; of none, nothing."""
    found: Checks | None = None
    for one in checks:
        found = one if found is None else found & one
    return found or NO_CHECKS


def prefixes(root: str) -> list[str]:
    """A source and everything that it is a part of."""
    found = []
    while root:
        found.append(root)
        root = root.rpartition(">")[0]
    return found


def checked(value: Value, checks: Checks) -> Value:
    """The value with the checks kept in all its tags."""
    tags = checks.written_into(value.tags)
    if tags is value.tags:
        return value
    parts = tuple(p if isinstance(p, str) else checks.written_into(p) for p in value.parts)
    items = None if value.items is None else tuple(checked(item, checks) for item in value.items)
    fields = (
        None if value.fields is None else tuple((k, checked(v, checks)) for k, v in value.fields)
    )
    return value._replace(tags=tags, parts=parts, items=items, fields=fields)
