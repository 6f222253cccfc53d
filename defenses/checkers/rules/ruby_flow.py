"""What only Ruby has: routes whose block's last value is the page."""

import re

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.values import Level

_ROUTES = frozenset({"get", "post", "put", "delete", "patch"})


class RubyFlow(Flow):
    """Follows Ruby."""

    def called(self, callee: Callee, site: Site) -> None:
        """`get "/" do "<p>#{x}</p>" end` sends what the block gives."""
        if callee.name not in _ROUTES or callee.heads or len(site.args) < 2:
            return
        page = site.args[-1].fields.get("()")
        if page is None or not re.search(r"<\w", page.shape):
            return
        level = page.level_for("html")
        if level >= Level.INPUT:
            self.run.claim_flow("xss", site.node.args[-1], level)


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    RubyFlow(run).snippet(parsed.tree)
