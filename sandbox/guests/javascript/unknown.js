// The universal stand-in: any attribute, call or item of what the sandbox does not carry.
//
// It says yes to everything, so that code gets past it; where data of a source was judged by such an
// answer, that is told as a doubt, and the host then neither confirms nor refutes what comes after.
// What stands for a name that nothing declares (`loose`) is a source as well once its text is used;
// the host takes data from there as a supposition.
"use strict";
({ recording, safe, sources }) => {
  const { state, sink, doubt, tainted, handler, later, plain } = recording;
  const SQL =
    /^\s*\(?\s*(select|insert|update|delete|replace|merge|with|create|drop|alter|truncate|call|exec|grant|pragma|explain|show|use|set|begin)\b/i;
  const STATEMENT =
    /^\s*(select\s[^]+?\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|drop\s+table\s)/i;
  const EXECUTORS = new Set([
    "query",
    "execute",
    "raw",
    "run",
    "all",
    "get",
    "each",
    "exec",
    "prepare",
    "$queryRawUnsafe",
    "$executeRawUnsafe",
    "queryRaw",
    "unsafe",
    "any",
    "one",
    "none",
    "many",
    "oneOrNone",
    "manyOrNone",
  ]);
  const JUDGES =
    /valid|check|verif|sanit|clean|escape|quote|secur|safe|allow|permit|assert|ensure|guard|filter|authori[sz]|restrict|normali|encode|whitelist|reject|^is[A-Z_]|^has[A-Z_]|parse|resolve|legal|trust|xss/i;
  const ROUTES = new Set([
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "all",
    "use",
    "route",
    "head",
    "options",
    "handle",
    "command",
    "action",
  ]);
  const WEB = /app|router|server|express|fastify|koa|hapi|route|api/i;
  const kept = new WeakMap(); // the attributes of each stand-in

  function unknown(name, given = [], bare = false, loose = false) {
    const own = new Map();
    const shell = function () {};
    const proxy = new Proxy(shell, {
      get: (target, key) => attribute(proxy, own, name, given, bare, key),
      set: (target, key, value) => (own.set(key, value), seen(value, key, proxy), true),
      has: () => true,
      deleteProperty: (target, key) => (own.delete(key), true),
      apply: (target, self, args) => called(name, args, loose),
      construct: (target, args) => called(`new ${name}`, args, loose),
      ownKeys: () => ["prototype"],
      getPrototypeOf: () => Function.prototype,
    });
    safe.set(state.names, proxy, last(name).replace(/\W+/g, "") || "value");
    safe.set(kept, proxy, own);
    if (loose) safe.set(state.loose, proxy, () => sources.text(`u:${spoken(name)}`));
    return proxy;
  }

  const spoken = (name) => last(name).replace(/\W+/g, "") || "value";
  const last = (name) => name.slice(name.lastIndexOf(".") + 1);

  function attribute(proxy, own, name, given, bare, key) {
    if (own.has(key)) return own.get(key);
    const loose = safe.has(state.loose, proxy);
    if (typeof key === "symbol") return symbol(key, name, loose && safe.get(state.loose, proxy));
    if (key === "then") return bare || !/\)$/.test(name) ? undefined : then(name, given, loose);
    if (key === "catch" && /\)$/.test(name)) return () => proxy;
    if (key === "finally" && /\)$/.test(name)) return (fn) => (later(fn), proxy);
    if (key === "toString" || key === "valueOf") return loose ? safe.get(state.loose, proxy) : () => safe.get(state.names, proxy);
    if (key === "length") return 1;
    if (key === "prototype") return {};
    if (key === "toJSON" || key === "$$typeof" || key === "nodeType") return undefined;
    if (key === "call") return (self, ...args) => called(name, args, loose);
    if (key === "apply") return (self, args) => called(name, args ?? [], loose);
    if (key === "bind") return () => proxy;
    if (key === "join" && loose) return () => safe.get(state.loose, proxy)();
    const value = unknown(`${name}.${key}`, given, false, loose);
    own.set(key, value);
    return value;
  }

  function symbol(key, name, text) {
    const loose = Boolean(text);
    if (key === Symbol.toPrimitive)
      return (hint) => (loose && hint === "number" ? 7 : loose ? text() : spoken(name));
    if (key === Symbol.iterator)
      return function* () {
        yield unknown(`${name}[0]`, [], false, loose);
      };
    if (key === Symbol.asyncIterator)
      return async function* () {
        yield unknown(`${name}[0]`, [], false, loose);
      };
    return undefined;
  }

  // A result can be awaited; what it then is cannot, or awaiting would not end.
  const then = (name, given, loose) => (ok, fail) =>
    Promise.resolve(unknown(name, given, true, loose)).then(ok, fail);

  // A function that some part of the snippet set up may be called by anyone later.
  function seen(value, name, self) {
    if (typeof value === "function" && !safe.has(kept, value))
      state.found.push({ fn: value, name: plain(name), self, names: [...sources.values.names] });
    else if (value !== null && typeof value === "object" && !safe.has(kept, value)) {
      for (const key of safe.keys(value)) {
        const own = safe.describe(value, key);
        if (typeof own?.value === "function" && typeof key === "string") seen(own.value, key, value);
      }
    }
    return value;
  }

  function called(name, args, loose = false) {
    const short = last(name).replace(/^new /, "");
    looked(name, short, args);
    const judges = JUDGES.test(short);
    const shown = (item) => tainted(item) || (judges && safe.has(state.loose, item));
    if ((judges || loose) && args.some(shown)) doubt(name, judges);
    const functions = args.filter((item) => typeof item === "function" && !safe.has(kept, item));
    if (functions.length && isRoute(name, short, args)) {
      for (const fn of functions) handler(fn, typeof args[0] === "string" ? args[0] : "");
    } else {
      for (const fn of functions) {
        const first = unknown(`${name}()`, [], false, loose);
        later(fn, ...(fn.length > 1 && !loose ? [null] : []), first, unknown("next", [], false, loose));
      }
    }
    return unknown(`${name}()`, args.filter(tainted), false, loose);
  }

  function isRoute(name, short, args) {
    const first = args[0];
    return ROUTES.has(short) && (WEB.test(name) || (typeof first === "string" && first[0] === "/"));
  }

  function looked(name, short, args) {
    const first =
      args[0] !== null && typeof args[0] === "object" && !safe.has(kept, args[0])
        ? (args[0].text ?? args[0].sql ?? args[0])
        : args[0];
    if (typeof first === "string" && EXECUTORS.has(short) && SQL.test(first)) {
      sink("sql", name, first, { also: bound(args) });
    } else {
      const at = args
        .slice(0, 3)
        .findIndex((item) => typeof item === "string" && STATEMENT.test(item));
      if (at >= 0) sink("sql", name, args[at], { also: bound(args.slice(at)) });
    }
  }

  const bound = (args) =>
    [args[0]?.values, ...args.slice(1)].filter((item) => typeof item !== "function");

  // An object with something under each of its names that its code reads and never sets.
  function filled(self, text) {
    const names = new Set([...text.matchAll(/\bthis\.([\w$]+)/g)].map((found) => found[1]));
    for (const name of [...names].slice(0, 30)) {
      const set = new safe.Pattern(`\\bthis\\.${name.replace(/\$/g, "\\$")}\\s*=[^=]`).test(text);
      if (!(name in self) && !set) self[name] = unknown(name, [], false, true);
    }
    return self;
  }

  // What a `with` around the snippet answers for names that nothing declares.
  const ABSENT = new Set(["define", "__found", "__seen"]);
  function scope() {
    let own = new Map(),
      saved = new Map();
    const answers = new Proxy(Object.create(null), {
      has: (target, key) =>
        typeof key === "string" && !(key in globalThis) && !ABSENT.has(key),
      get(target, key) {
        if (typeof key === "symbol") return undefined;
        if (!own.has(key)) own.set(key, state.usual?.(key) ?? unknown(key, [], false, true));
        return own.get(key);
      },
      set(target, key, value) {
        own.set(key, value);
        seen(value, key, undefined);
        return true;
      },
      deleteProperty: (target, key) => (own.delete(key), true),
    });
    return {
      answers,
      clear: () => void (own = new Map()),
      keep: () => void (saved = new Map(own)),
      restore: () => void (own = new Map(saved)), // what one call set is not there in the next
    };
  }

  return { unknown, scope, filled, seen, is: (value) => safe.has(kept, value), plain, loose: (value) => safe.has(state.loose, value) };
};
