// The universal stand-in: any attribute, call or item of what the sandbox does not carry.
//
// It says yes to everything, so that code gets past it; where data of a source was judged by such an
// answer, that is told as a doubt, and the host then neither confirms nor refutes what comes after.
"use strict";
({ recording, safe }) => {
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

  function unknown(name, given = [], bare = false) {
    const own = new Map();
    const shell = function () {};
    const proxy = new Proxy(shell, {
      get: (target, key) => attribute(proxy, own, name, given, bare, key),
      set: (target, key, value) => (own.set(key, value), true),
      has: () => true,
      deleteProperty: (target, key) => (own.delete(key), true),
      apply: (target, self, args) => called(name, args),
      construct: (target, args) => called(`new ${name}`, args),
      ownKeys: () => ["prototype"],
      getPrototypeOf: () => Function.prototype,
    });
    safe.set(state.names, proxy, last(name).replace(/\W+/g, "") || "value");
    safe.set(kept, proxy, own);
    return proxy;
  }

  const last = (name) => name.slice(name.lastIndexOf(".") + 1);

  function attribute(proxy, own, name, given, bare, key) {
    if (own.has(key)) return own.get(key);
    if (typeof key === "symbol") return symbol(key, name);
    if (key === "then") return bare || !/\)$/.test(name) ? undefined : then(name, given);
    if (key === "catch" && /\)$/.test(name)) return () => proxy;
    if (key === "finally" && /\)$/.test(name)) return (fn) => (later(fn), proxy);
    if (key === "toString" || key === "valueOf") return () => safe.get(state.names, proxy);
    if (key === "length") return 1;
    if (key === "prototype") return {};
    if (key === "toJSON" || key === "$$typeof" || key === "nodeType") return undefined;
    if (key === "call") return (self, ...args) => called(name, args);
    if (key === "apply") return (self, args) => called(name, args ?? []);
    if (key === "bind") return () => proxy;
    const value = unknown(`${name}.${key}`, given);
    own.set(key, value);
    return value;
  }

  function symbol(key, name) {
    if (key === Symbol.toPrimitive) return () => last(name).replace(/\W+/g, "") || "value";
    if (key === Symbol.iterator)
      return function* () {
        yield unknown(`${name}[0]`);
      };
    if (key === Symbol.asyncIterator)
      return async function* () {
        yield unknown(`${name}[0]`);
      };
    return undefined;
  }

  // A result can be awaited; what it then is cannot, or awaiting would not end.
  const then = (name, given) => (ok, fail) =>
    Promise.resolve(unknown(name, given, true)).then(ok, fail);

  function called(name, args) {
    const short = last(name).replace(/^new /, "");
    looked(name, short, args);
    if (JUDGES.test(short) && args.some(tainted)) doubt(name);
    const functions = args.filter((item) => typeof item === "function" && !safe.has(kept, item));
    if (functions.length && isRoute(name, short, args)) {
      for (const fn of functions) handler(fn, typeof args[0] === "string" ? args[0] : "");
    } else {
      for (const fn of functions) {
        later(fn, ...(fn.length > 1 ? [null] : []), unknown(`${name}()`), unknown("next"));
      }
    }
    return unknown(`${name}()`, args.filter(tainted));
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

  return { unknown, is: (value) => safe.has(kept, value), plain };
};
