"""How many processors this process may use: of those of the machine, what its affinity and, on
Linux, the quota of its control group leave."""

from __future__ import annotations

import math
import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def processors(groups: Path = CONTROL_GROUPS) -> int:
    """At least one. A quota of 1.5 processors counts as two."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, quota(groups) or allowed or 1))


def quota(groups: Path) -> int | None:
    """The quota of a control group, of the second version or the first; None without one."""
    try:
        most, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            most = (groups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        share = int(most) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return math.ceil(share) if share > 0 else None  # -1: no limit
