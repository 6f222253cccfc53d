"""A draft of a constitution out of cases: clusters by task and kind, each with its examples.

With a judge model each cluster gets a drafted principle; without one, its two sides are left empty
for a person to write. Either way nobody has reviewed it, and it says so: a draft is not in force.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bluecode.defenses import terms
from bluecode.defenses.judge import Judge, NotAsked
from bluecode.defenses.knowledge import TASKS, Case, KnowledgeBase, Task
from bluecode.defenses.model import ModelError

EXAMPLES = 4
"""Cases of each label that stand for a cluster."""
_LONGEST = 400
"""Characters of an example: short ones can be read."""
_SAME = 0.5
"""Similarity from which two examples tell the same."""
_FEWEST = 3
"""Unsafe cases of a kind, below which it is no cluster."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Cases of one kind, and those that look like them and are safe."""

    task: Task
    name: str
    unsafe: tuple[Case, ...]
    """The most typical ones, each unlike the others."""
    safe: tuple[Case, ...]
    """The nearest safe ones."""
    size: int
    """Unsafe cases of the kind."""

    @property
    def key(self) -> str:
        return f"{self.task}.{self.name}"


@dataclass(slots=True)
class Draft:
    """Clusters and what was drafted for them."""

    clusters: Sequence[Cluster]
    drafted: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Title and sides, by the key of the cluster."""
    failed: list[str] = field(default_factory=list)
    """Clusters for which the judge had no answer."""


def clusters(cases: Sequence[Case], tasks: Sequence[Task] = TASKS) -> Iterator[Cluster]:
    """One for each kind of unsafe case, by task and name."""
    base = KnowledgeBase(cases)
    for task in tasks:
        kinds = sorted({case.category for case in cases if case.task == task and case.unsafe})
        for kind in kinds:
            own = [it for it in cases if (it.task, it.category, it.unsafe) == (task, kind, True)]
            if len(own) >= _FEWEST:
                typical = _typical(own)
                safe = _nearest_safe(base, typical, task)
                yield Cluster(task, _plain(kind), typical, safe, len(own))


def _typical(own: Sequence[Case]) -> tuple[Case, ...]:
    """Cases that are most like all of their kind, less those that say what another one says."""
    short = [case for case in own if len(case.text) <= _LONGEST] or list(own)
    base = KnowledgeBase(short)
    alike = np.array([base.likeness(terms.read(case.text)) for case in short])
    taken: list[int] = []
    for at in np.argsort(-alike.mean(axis=0), kind="stable").tolist():
        if len(taken) < EXAMPLES and all(alike[at, other] < _SAME for other in taken):
            taken.append(at)
    return tuple(short[at] for at in taken)


def _nearest_safe(base: KnowledgeBase, unsafe: Sequence[Case], task: Task) -> tuple[Case, ...]:
    found: dict[str, tuple[float, Case]] = {}
    for case in unsafe:
        for match in base.nearest(terms.read(case.text), task, EXAMPLES).safe:
            before = found.get(match.case.id, (0.0, match.case))[0]
            if len(match.case.text) <= _LONGEST:
                found[match.case.id] = (max(before, match.similarity), match.case)
    best = sorted(found.values(), key=lambda item: -item[0])[:EXAMPLES]
    return tuple(case for _, case in best)


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name.lower())


async def draft(judge: Judge, clusters: Sequence[Cluster]) -> Draft:
    """Have the judge write a principle for each cluster; what it fails at is told."""
    made = Draft(clusters)
    for cluster in clusters:
        unsafe, safe = ([case.text for case in side] for side in (cluster.unsafe, cluster.safe))
        try:
            made.drafted[cluster.key] = await judge.draft(cluster.task, unsafe, safe)
        except (ModelError, NotAsked):
            made.failed.append(cluster.key)
    return made


def render(made: Draft, *, by: str, date: str) -> str:
    """The draft as TOML, which becomes a constitution once its sides are written and read."""
    lines = [
        "# A draft: nothing here is in force, and no person has reviewed it. Write or correct the",
        "# sides of each principle, put your name into `reviewed_by`, and try it with",
        "# `bluecode constitution test --constitution FILE`.",
        "version = 1",
    ]
    for cluster in made.clusters:
        told = made.drafted.get(cluster.key)
        wanted = "" if told else "  # to be written by a person"
        told = told or {"title": cluster.name.replace("_", " "), "unsafe": "", "safe": ""}
        cases = ", ".join(case.id for case in (*cluster.unsafe, *cluster.safe))
        source = f"drafted by {by} from" if cluster.key in made.drafted else "examples:"
        lines += [
            "",
            f"[{cluster.key}]",
            f"title = {_text(told['title'])}",
            f"unsafe = {_text(told['unsafe'])}{wanted}",
            f"safe = {_text(told['safe'])}{wanted}",
            f"provenance = {_text(f'{date}, {cluster.size} cases, {source} {cases}')}",
            'reviewed_by = ""',
            *_listed("must_fail", cluster.unsafe),
            *_listed("must_pass", cluster.safe),
            *(['said_by = "tool"'] if _is_brought(cluster) else []),
        ]
    return "\n".join(lines) + "\n"


def _is_brought(cluster: Cluster) -> bool:
    brought = [case.channel != "user" for case in cluster.unsafe]
    return sum(brought) * 2 > len(brought)


def _listed(name: str, cases: Sequence[Case]) -> list[str]:
    return [f"{name} = [", *(f"    {_text(case.text)}," for case in cases), "]"]


def _text(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON but for DEL and lone surrogates."""
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
