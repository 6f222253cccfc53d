"""Packs sucrase, which strips TypeScript, into one script: `bundle.py DIST OUT`.

The script's value is sucrase's `transform`. Left out is what the guest has no use for: source maps,
checks of options, the command line. The same input gives the same bytes everywhere.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path

REQUIRED = re.compile(r"""\brequire\((['"])(\.[^'"]*)\1\)""")
REPLACED = {
    "Options.js": "exports.validateOptions = () => undefined;",
    "computeSourceMap.js": "",
    "util/formatTokens.js": "",
    "transformers/ReactHotLoaderTransformer.js": "exports.default = class {};",
}


def main(dist: Path, out: Path) -> None:
    modules = [f"{json.dumps(name)}: (exports, require) => {{{text}\n}}" for name, text in
               sorted(gathered(dist, "index.js").items())]  # fmt: skip
    out.write_text(START + ",\n".join(modules) + END)


def gathered(dist: Path, first: str) -> dict[str, str]:
    """The text of a module and of all that it needs, requirements named from the root."""
    found: dict[str, str] = {}
    wanted = [first]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        text = REPLACED.get(name, (dist / name).read_text())
        needs = {given: resolved(dist, name, given) for _, given in REQUIRED.findall(text)}
        for given, full in needs.items():
            text = re.sub(
                rf"require\((['\"]){re.escape(given)}\1\)", f"require({json.dumps(full)})", text
            )
        found[name] = text
        wanted += needs.values()
    return found


def resolved(dist: Path, origin: str, given: str) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), given))
    return f"{path}.js" if (dist / f"{path}.js").exists() else f"{path}/index.js"


START = '"use strict"; (() => { const modules = {\n'
END = """
};
const made = new Map();
function require(name) {
  if (!made.has(name)) {
    const exports = {};
    made.set(name, exports);
    modules[name](exports, require);
  }
  return made.get(name);
}
return require("index.js").transform;
})()
"""

main(Path(sys.argv[1]), Path(sys.argv[2]))
