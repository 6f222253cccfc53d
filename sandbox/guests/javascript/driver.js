// The order of calls: benign ones first, to see which source's data reaches which sink, then attacks
// on just those pairs. Every call has a budget of work.
"use strict";
({ native, safe, recording, sources, web, globals, modules, unknown }) => {
  const { attempt, drain } = native;
  const { state, say, call, end, sink, handler } = recording;
  const PATIENCE = 60; // of 10,000 steps each
  const CALLS = 160,
    WAITING = 60,
    WRAPS = 3;
  const WRAPPED = new Set(["shell", "sql", "code", "path", "url", "redirect", "page", "template"]);
  const DATABASE = /^(db|database|conn|connection|pool|client|knex|sequelize|prisma|session|tx)$/i;
  const REQUEST = /^_?(req|request)$/i,
    RESPONSE = /^_?(res|response|reply)$/i,
    CONTEXT = /^(ctx|context|c)$/i;
  // What the caller gives, and not who calls: the folder to stay in, the host that is trusted.
  const FOLDER =
    /^(base|root|dir|directory|folder|prefix|dest|destination|cwd|home|workdir|storage)_?(Dir|Path|Folder|Directory)?$|^(upload|output|public|static)_?(Dir|Folder|Path|Root)$/i;
  const HOST = /^(domain|host|hostname|origin|base_?(url|domain)|(allowed|trusted)\w*)$/i;
  const NEXT = /^_?(next|done|cb|callback|h)$/i;
  let calls = 0,
    top,
    asked,
    job,
    snippet,
    module;

  function run(read, given) {
    calls = 0;
    job = given;
    top = new Set();
    const keys = [...read.code.matchAll(/\bquery\.(\w+)|\.get\(\s*['"](\w+)['"]\s*\)/g)];
    state.keys = [...new Set(keys.map((found) => found[1] ?? found[2]))]
      .filter((key) => key !== "name")
      .slice(0, 4);
    asked = new Set((given.claims ?? []).flatMap((claim) => claim.kinds ?? []));
    snippet = read;
    const lines = read.code.split("\n").length;
    const found = {};
    each({ name: "module", role: "module", first: 1, last: lines, invoke: () => start(found) });
    const done = new Set();
    snippet.scope.keep();
    handlers(done);
    for (const entry of exported(found)) each(entry);
    handlers(done);
    inner();
  }

  // Functions that others made and left somewhere: called with data that is outside data by
  // supposition alone. What they caught of the call that made them is no source of theirs.
  function inner() {
    const known = new Set();
    for (let at = 0; at < state.found.length && at < 80; at++) {
      const { fn, name, self, names } = state.found[at];
      const key = `${safe.line(fn)} ${safe.source(fn)}`;
      if (safe.file(fn) !== "<snippet>" || known.has(key) || top.has(key)) continue;
      known.add(key);
      if (/^class\b/.test(safe.source(fn))) continue;
      const own = self ?? unknown.unknown("self", [], false, true);
      const invoke = () => fn.apply(own, args(fn, "u"));
      const accept = (given) => fn.apply(own, given);
      each({ name, role: "function", ...span(fn), caught: names, invoke, accept });
    }
  }

  const set = (value) => unknown.seen(value, value?.name || "function", undefined);

  const fresh = () => ({
    exports: {},
    id: ".",
    filename: "/srv/app/app.js",
    children: [],
    paths: [],
  });

  function start(found) {
    module = fresh();
    snippet.scope.clear();
    const give = (names) => {
      found.names = names;
    };
    modules.require.main = module;
    const { exports } = module;
    const names = [exports, modules.require, module, "/srv/app/app.js", "/srv/app", give, set];
    return safe.apply(snippet.run, exports, names);
  }

  function handlers(done) {
    for (let at = 0; at < state.handlers.length && at < 40; at++) {
      const [fn, route] = state.handlers[at];
      if (done.has(fn)) continue;
      done.add(fn);
      const name = route ? `${fn.name || "handler"} ${route}` : fn.name || "handler";
      each({ name, role: "handler", ...span(fn), handler: true, invoke: () => request(fn) });
    }
  }

  function request(fn) {
    const req = web.request(),
      res = web.response();
    const names = parameters(fn);
    const next = (error) => undefined;
    if (fn.length === 4) return fn(new Error("x"), req, res, next);
    if (names.length && CONTEXT.test(names[0])) return fn(web.context(req, res), next);
    if (names.length === 1 && !REQUEST.test(names[0]) && !/^[{[]/.test(names[0]))
      return fn(web.context(req, res), next);
    return fn(req, res, next);
  }

  // Functions that the snippet defines or exports, methods of its classes among them.
  function exported(found) {
    const entries = [],
      seen = new Set(state.handlers.map(([fn]) => fn));
    const add = (name, fn, self) => {
      if (
        typeof fn !== "function" ||
        seen.has(fn) ||
        unknown.is(fn) ||
        safe.file(fn) !== "<snippet>"
      )
        return;
      seen.add(fn);
      top.add(`${safe.line(fn)} ${safe.source(fn)}`);
      if (/^class\b/.test(safe.source(fn))) methods(name, fn, add);
      else
        entries.push({
          name,
          role: "function",
          ...span(fn),
          invoke: () => fn.apply(self?.() ?? itself(fn), args(fn)),
          accept: (given) => fn.apply(self?.() ?? itself(fn), given),
        });
    };
    for (const name of found.names ? snippet.names : []) add(name, found.names[name]);
    const exports = module.exports;
    if (typeof exports === "function") add(exports.name || "exports", exports);
    else if (exports !== null && typeof exports === "object") {
      for (const name of Object.keys(exports)) add(name, exports[name], () => exports);
    }
    return entries;
  }

  // Whom a function that was taken out of its object is called on.
  const itself = (fn) => {
    const text = safe.source(fn);
    if (!/\bthis\b/.test(text) || typeof fn.prototype !== "object") return undefined;
    return unknown.filled(Object.create(fn.prototype), text);
  };

  function methods(name, kind, add) {
    for (const key of Object.getOwnPropertyNames(kind.prototype)) {
      const found = Object.getOwnPropertyDescriptor(kind.prototype, key);
      if (key !== "constructor" && found.value)
        add(`${name}.${key}`, found.value, () =>
          unknown.filled(new kind(...args(kind)), safe.source(kind)),
        );
    }
    for (const key of Object.getOwnPropertyNames(kind)) {
      const found = Object.getOwnPropertyDescriptor(kind, key);
      if (typeof found?.value === "function") add(`${name}.${key}`, found.value, () => kind);
    }
  }

  function span(fn) {
    if (safe.file(fn) !== "<snippet>") return { first: 1, last: 1 };
    const first = safe.line(fn);
    return { first, last: first + safe.source(fn).split("\n").length - 1 };
  }

  // Names of the parameters; a pattern is given by its text.
  function parameters(fn) {
    const text = safe.source(fn);
    const list = /^class\b/.test(text)
      ? (/constructor\s*\(([^)]*)\)/.exec(text)?.[1] ?? "")
      : (/^(?:async\s+)?(?:function\s*\*?\s*[\w$]*|\*?\s*[\w$#]+|(?:get|set|static)\s+[\w$]+)?\s*\(([^]*?)\)\s*(?:=>|\{)/.exec(
          text,
        )?.[1] ??
        /^(?:async\s+)?([\w$]+)\s*=>/.exec(text)?.[1] ??
        "");
    return list
      .split(/,(?![^{[]*[}\]])/)
      .map((item) =>
        item
          .replace(/^\s*\.\.\./, "")
          .replace(/\s*=[^]*$/, "")
          .trim(),
      )
      .filter(Boolean);
  }

  const TEXTUAL = new Set([
    ...Object.getOwnPropertyNames(String.prototype),
    ...Object.getOwnPropertyNames(Object.prototype),
    "exec",
  ]);
  const LISTED = new Set(Object.getOwnPropertyNames(Array.prototype).filter((x) => !TEXTUAL.has(x)));

  // What a parameter must be for what its function does with it: a text, a list, a function, or an
  // object whose fields are shaped by their use in turn.
  function shaped(path, name, text, prefix, depth = 3) {
    const spot = path.replace(/[$.]/g, "\\$&");
    const uses = [...text.matchAll(new safe.Pattern(`(?<![\\w$.])${spot}\\??\\.([\\w$]+)`, "g"))];
    const fields = new Set(uses.map((found) => found[1]));
    const own = [...fields].filter((key) => !TEXTUAL.has(key) && !LISTED.has(key));
    if (own.length && depth > 0) {
      const made = sources.fields(prefix, {});
      for (const key of own.slice(0, 12)) {
        const inner = `${path}.${key}`;
        const called = new safe.Pattern(`(?<![\\w$.])${inner.replace(/[$.]/g, "\\$&")}\\s*\\(`).test(text);
        if (called) made[key] = unknown.unknown(key);
        else {
          const get = () => shaped(inner, key, text, prefix, depth - 1);
          Object.defineProperty(made, key, { get, enumerable: true, configurable: true });
        }
      }
      return made;
    }
    if (uses.some((found) => LISTED.has(found[1]))) return [sources.text(`${prefix}:${name}`)];
    if (new safe.Pattern(`(?<![\\w$.])${spot}\\[\\d\\]`).test(text))
      return Array.from({ length: 4 }, () => sources.text(`${prefix}:${name}`));
    if (new safe.Pattern(`(?<![\\w$.])${spot}\\s*\\(`).test(text) && !spoken(spot).test(text))
      return (value) => value;
    return sources.text(`${prefix}:${name}`);
  }

  // Code that asks whether it was given a text reckons with one.
  const spoken = (spot) =>
    new safe.Pattern(`typeof\\s*\\(?\\s*${spot}\\s*\\)?\\s*===?\\s*['"]string|${spot}\\.constructor\\s*===?\\s*String`);

  function args(fn, prefix = "p") {
    const own = safe.source(fn);
    const text = /^class\b/.test(own) ? own.replace(/\bthis\._?/g, "") : own;
    return parameters(fn).map((name) => {
      if (/^[{[]/.test(name)) return sources.fields(prefix);
      if (REQUEST.test(name)) return web.request();
      if (RESPONSE.test(name)) return web.response();
      if (CONTEXT.test(name)) return web.context(web.request(), web.response());
      if (NEXT.test(name)) return () => undefined;
      if (DATABASE.test(name)) return unknown.unknown(name);
      if (spoken(name.replace(/\$/g, "\\$")).test(text)) return sources.text(`${prefix}:${name}`);
      if (/^(fn|func|predicate|on[A-Z]\w*)$/.test(name)) return (value) => value;
      if (FOLDER.test(name)) return "/srv/files/" + sources.text(`${prefix}:${name}`);
      if (HOST.test(name)) return "example.com";
      if (/^(options|opts|config|params|data|body|user|input|payload|args|obj|item)$/i.test(name))
        return sources.fields(prefix, {});
      if (/^(items|list|array|files|names|ids|values|rows)$/i.test(name))
        return [sources.text(`${prefix}:${name}`)];
      return /^[\w$]+$/.test(name)
        ? shaped(name, name, text, prefix)
        : sources.text(`${prefix}:${name}`);
    });
  }

  // Everything about one entry point.
  function each(entry) {
    if (calls >= CALLS) return;
    sources.forget(entry.caught);
    say("entry", entry.name, entry.role, entry.first, entry.last);
    const hits = once(entry, "benign");
    const names = [...sources.values.names];
    for (const pair of Object.keys(hits)) {
      const [index, kind] = pair.split(" ");
      if (names[index] === undefined || index < (entry.caught?.length ?? 0)) continue;
      if (names[index].startsWith("u:") && !asked.has(kind)) continue;
      if (kind === "path" && names.length > 1 && folder(names[index])) continue;
      attacks(entry, names[index], kind, hits[pair]);
    }
    pollute(entry);
    say("sources", ...sources.values.names);
  }

  // Do names that reach every object get there? Each way of calling is one in which code that merges,
  // clones or sets by a path takes what outside data says; the effect itself is looked for.
  function pollute(entry) {
    if (!asked.has("proto") || entry.role === "module") return;
    const name = `${job.token}z`;
    const merged = () =>
      safe.parse(`{"__proto__":{"${name}":1},"constructor":{"prototype":{"${name}":1}}}`);
    const ways = [
      () => [{}, merged()],
      () => [merged()],
      () => [merged(), {}],
      () => [{}, "__proto__", name, 1],
      () => ["__proto__", name, 1],
      () => [{}, `__proto__.${name}`, 1],
      () => [{}, `constructor.prototype.${name}`, 1],
      () => [{}, ["__proto__", name], 1],
      () => [{}, ["constructor", "prototype", name], 1],
    ];
    for (const way of entry.handler ? [merged] : ways) {
      if (calls >= CALLS) return;
      if (entry.handler) state.body = way();
      const given = entry.handler ? undefined : way();
      const invoke = entry.handler ? entry.invoke : () => entry.accept(given);
      once({ ...entry, invoke, pollutes: name }, "pump", null, "proto");
      state.body = undefined;
    }
  }

  function polluted(entry) {
    const name = entry.pollutes;
    if (name === undefined || !safe.describe(Object.prototype, name)) return;
    delete Object.prototype[name];
    const { first } = (job.claims ?? []).find((claim) => claim.kinds.includes("proto")) ?? entry;
    sink("weak", "Object.prototype", `${entry.name} set a name of every object`, {
      line: first | 0, // what JSON gave may be no integer to the engine
      cwe: [915, 1321],
    });
  }

  // Does a source name the folder that the caller chooses, rather than what lies within?
  const folder = (name) => FOLDER.test(name.slice(name.lastIndexOf(":") + 1));

  function attacks(entry, name, kind, seen) {
    const marker = sources.marker(sources.index(name));
    sources.begin();
    const benign = sources.text(name);
    let count = 0;
    for (const probe of job.probes ?? []) {
      if (probe.kind !== kind) continue;
      const text = filled(probe.value, seen, marker);
      const forms = [text];
      if (count++ < WRAPS && WRAPPED.has(kind))
        forms.push(
          benign.includes(marker) ? benign.replace(marker, text) : text + benign,
          benign + text,
        );
      for (const form of forms) {
        if (calls >= CALLS) return;
        const hits = once(entry, "attack", name, kind, probe.id, form);
        if (Object.keys(hits).some((pair) => pair.endsWith(` ${kind}`))) break;
      }
    }
  }

  // A payload with its places filled: the marker, and what the benign value led to.
  function filled(template, seen, marker) {
    let text = template.replaceAll("<T>", marker);
    if (text.includes("<BASE>")) {
      const at = seen.toLowerCase().indexOf(marker);
      const folder = at > 0 ? seen.slice(0, at).replace(/\/+$/, "") : "/srv";
      text = text.replaceAll("<BASE>", folder.slice(folder.lastIndexOf("/") + 1));
    }
    if (text.includes("<ORIGIN>")) {
      const found = /https?:\/\/[\w-]+(?:\.[\w-]+)+/.exec(job.code);
      text = text.replaceAll("<ORIGIN>", found ? found[0] : "https://example.com");
    }
    if (text.includes("<HOST>")) {
      const found =
        /^(?:https?:)?\/\/([\w-]+(?:\.[\w-]+)+)/.exec(seen) ??
        /['"`](?:https?:\/\/)?([\w-]+(?:\.[\w-]+)+)/.exec(job.code);
      text = text.replaceAll("<HOST>", found ? found[1] : "example.com");
    }
    return text;
  }

  function once(entry, mode, name = null, kind = "", probe = "", text = "") {
    calls += 1;
    state.waiting = [];
    sources.begin(name, text);
    globals.begin();
    if (entry.role !== "module") snippet.scope.restore();
    call(mode, "0", name ?? "", name ? sources.index(name) : 0, kind, probe, text.slice(0, 400));
    const [ended, value] = attempt(PATIENCE, settled, undefined, entry);
    drain(PATIENCE);
    const late = waited();
    polluted(entry);
    const failed = ended || outcome.error !== undefined || late;
    end(
      ended === "Exhausted" ? ended : failed ? nameOf(ended ? value : (outcome.error ?? late)) : "",
      deliberate(ended ? value : outcome.error),
      0,
    );
    return { ...state.hits };
  }

  let outcome = {};

  // Calls the entry; what it promises is looked at once all reactions have run.
  function settled(entry) {
    outcome = {};
    const mine = outcome;
    const value = entry.invoke();
    const result = (item) => entry.role !== "module" && returned(entry, item);
    if (typeof value?.then === "function" && !unknown.is(value)) {
      value.then(result, (error) => {
        mine.error = error ?? "rejected";
      });
    } else result(value);
  }

  // What came out is a sink too, but for a record: that is data of the snippet's own, and no line.
  function returned(entry, value) {
    if (entry.role === "handler" && typeof value === "string")
      sink("page", entry.name, value, { line: entry.last });
    const asked = (job.probes ?? []).some((probe) => probe.kind === "return");
    const record = value !== null && typeof value === "object" && !Array.isArray(value);
    if (asked && value !== undefined && !record)
      sink("return", entry.name, value, {
        line: entry.last,
        type: Array.isArray(value) ? "list" : typeof value === "string" ? "str" : typeof value,
      });
  }

  // Callbacks, timers and listeners, and what they set up in turn.
  function waited() {
    let failure;
    for (let at = 0; at < state.waiting.length && at < WAITING; at++) {
      const [fn, given] = state.waiting[at];
      const [ended, value] = attempt(PATIENCE, fn, undefined, ...given);
      drain(PATIENCE);
      if (ended) failure ??= value ?? "thrown";
    }
    return failure;
  }

  function nameOf(error) {
    if (error instanceof globals.Exit) return "SystemExit";
    return error !== null && typeof error === "object"
      ? recording.plain(error.name ?? "Error").slice(0, 60)
      : "thrown";
  }

  // Did the snippet itself turn the input away, rather than stumble over it?
  function deliberate(error) {
    if (error === null || typeof error !== "object" || error instanceof globals.Exit)
      return Boolean(error);
    const builtin = [
      "TypeError",
      "ReferenceError",
      "SyntaxError",
      "RangeError",
      "InternalError",
      "URIError",
    ].includes(error.name);
    const line = snippet.code.split("\n")[recording.lineIn(error.stack) - 1] ?? "";
    return !builtin || line.includes("throw");
  }

  return { run, handler };
};
