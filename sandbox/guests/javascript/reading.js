// From a snippet's text to a function that runs it as a CommonJS module, with the names it defines.
//
// Plain scripts are taken as they are; modules, TypeScript and JSX go through sucrase, which keeps
// every line where it was.
"use strict";
({ native, safe, transform, unknown }) => {
  const { evaluate } = native;
  const DEFINED =
    /(?:^|[\n;{}])[ \t]*(?:export\s+)?(?:default\s+)?(?:(?:async\s+)?function\s*\*?\s*([\w$]+)\s*[(<]|(?:const|let|var)\s+([\w$]+)\s*(?::[^=\n]+)?=\s*(?:async\s*)?(?:function\b|\([^)\n]*\)\s*(?::[^=\n]+)?=>|[\w$]+\s*=>)|class\s+([\w$]+))/g;
  const PARAMETERS = "exports, require, module, __filename, __dirname";

  // The first of the texts that can be read: a snippet as it stands, or what it may have been cut from.
  function read(texts, language) {
    for (const code of texts) {
      const found = one(code, language);
      if (found) return found;
    }
    return null;
  }

  function one(code, language) {
    const names = defined(code);
    const plain = language === "typescript" ? null : wrapped(code, names, "whole");
    if (plain) return plain;
    for (const transforms of [
      ["typescript", "imports"],
      ["typescript", "jsx", "imports"],
      ["flow", "jsx", "imports"],
    ]) {
      const text = converted(code, transforms);
      const found = text === null ? null : wrapped(text, names, "whole");
      if (found) return found;
    }
    return language === "typescript" ? null : wrapped(code, [], "wrapped", true);
  }

  function converted(code, transforms) {
    try {
      return transform(code, { transforms, production: true, disableESTransforms: true }).code;
    } catch {
      return null; // not of that language
    }
  }

  function defined(code) {
    const names = new Set();
    for (const found of code.matchAll(DEFINED)) names.add(found[1] ?? found[2] ?? found[3]);
    return [...names].slice(0, 40);
  }

  // `fragment`: statements that stood inside a function, `return` and `await` included. The names
  // are given before the code runs, as getters: functions are there even if the script ends early.
  function wrapped(code, names, how, fragment = false) {
    const given = names.map((name) => `get ${name}() { try { return ${name}; } catch {} }`);
    const strict = /^\s*(['"])use strict\1/.test(code) ? '"use strict";' : "";
    const head = fragment ? "" : `${strict}__found({ ${given.join(", ")} });`;
    for (const kind of ["", "async "]) {
      try {
        const own = `${kind}function (${PARAMETERS}, __found, __seen) {${head}${code}\n}`;
        const run = evaluate(`(function () { with (this) return ${own}\n})`, "<snippet>");
        const scope = unknown.scope();
        return { how, run: safe.apply(run, scope.answers, []), names, code, scope };
      } catch (error) {
        if (!(error instanceof SyntaxError)) return null;
      }
    }
    return null;
  }

  return { read, source: safe.source };
};
