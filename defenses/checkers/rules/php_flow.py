"""What only PHP has: classes, functions and methods that are named by a variable."""

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.values import Level


class PHPFlow(Flow):
    """Follows PHP."""

    def called(self, callee: Callee, site: Site) -> None:
        """`new $class`, `$function()`, `$object->$method()`."""
        if "$" in site.node.tags:
            named = self.lookup(site.node.name)
            if named.level >= Level.INPUT:
                self.run.claim_flow("reflection", site.node, named.level_for("code"))


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    PHPFlow(run).snippet(parsed.tree)
