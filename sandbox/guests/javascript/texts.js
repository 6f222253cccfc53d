// Modules that only work on texts: `path`, `querystring`, `util`, and the well-known escapes.
"use strict";
({ recording }) => {
  const { plain } = recording;

  function normalize(path) {
    path = String(path);
    const rooted = path[0] === "/";
    const parts = [];
    for (const part of path.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.length && parts[parts.length - 1] !== "..") parts.pop();
      else if (!rooted) parts.push("..");
    }
    const text = parts.join("/") + (path.endsWith("/") && parts.length ? "/" : "");
    return rooted ? "/" + text : text || ".";
  }

  function resolve(...parts) {
    let path = "";
    for (let at = parts.length - 1; at >= 0 && path[0] !== "/"; at--) {
      if (parts[at] !== "") path = path ? `${parts[at]}/${path}` : String(parts[at]);
    }
    path = normalize(path[0] === "/" ? path : `/srv/work/${path}`);
    return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  }

  const dirname = (path) => {
    const cut = String(path).replace(/\/+$/, "");
    const at = cut.lastIndexOf("/");
    return at < 0 ? "." : at === 0 ? "/" : cut.slice(0, at);
  };
  const basename = (path, suffix = "") => {
    const name = String(path).replace(/\/+$/, "").split("/").pop();
    return suffix && name.endsWith(suffix) && name !== suffix
      ? name.slice(0, -suffix.length)
      : name;
  };
  const extname = (path) => {
    const name = basename(path),
      at = name.lastIndexOf(".");
    return at > 0 ? name.slice(at) : "";
  };

  function relative(from, to) {
    const start = resolve(from).split("/").filter(Boolean);
    const end = resolve(to).split("/").filter(Boolean);
    let same = 0;
    while (same < start.length && same < end.length && start[same] === end[same]) same++;
    return [...start.slice(same).map(() => ".."), ...end.slice(same)].join("/");
  }

  const path = {
    normalize,
    resolve,
    dirname,
    basename,
    extname,
    relative,
    sep: "/",
    delimiter: ":",
    join: (...parts) => normalize(parts.filter((part) => part !== "").join("/")),
    isAbsolute: (text) => String(text)[0] === "/",
    parse: (text) => ({
      root: text[0] === "/" ? "/" : "",
      dir: dirname(text),
      base: basename(text),
      ext: extname(text),
      name: basename(text, extname(text)),
    }),
    format: (parts) => `${parts.dir ?? ""}/${parts.base ?? (parts.name ?? "") + (parts.ext ?? "")}`,
  };
  path.posix = path.win32 = path;

  const ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "`": "&#96;",
  };
  const escapeHtml = (text) => plain(text).replace(/[&<>"'`]/g, (letter) => ESCAPES[letter]);
  const withoutTags = (text) => plain(text).replace(/<[^>]*>?/g, "");
  const quoteSql = (value) =>
    typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : value === null || value === undefined
        ? "NULL"
        : "'" + plain(value).replace(/['"\\\0\n\r]/g, (letter) => "\\" + letter) + "'";
  const quoteShell = (parts) =>
    parts
      .map((part) =>
        typeof part === "object" && part?.op
          ? "\\" + part.op
          : /^[\w@%+=:,./-]+$/.test(part)
            ? part
            : "'" + plain(part).replace(/'/g, `'"'"'`) + "'",
      )
      .join(" ");

  const querystring = {
    escape: encodeURIComponent,
    unescape: decodeURIComponent,
    stringify: (fields) =>
      Object.entries(fields ?? {})
        .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(plain(value))}`)
        .join("&"),
    parse: (text) =>
      Object.fromEntries(
        String(text)
          .split("&")
          .filter(Boolean)
          .map((pair) => {
            const [key, value = ""] = pair.split("=");
            return [decode(key), decode(value)];
          }),
      ),
  };
  querystring.encode = querystring.stringify;
  querystring.decode = querystring.parse;

  function decode(text) {
    try {
      return decodeURIComponent(text.replace(/\+/g, " "));
    } catch {
      return text;
    }
  }

  function format(text, ...args) {
    if (typeof text !== "string") return [text, ...args].map(inspect).join(" ");
    let at = 0;
    const filled = text.replace(/%[sdifjoO%]/g, (mark) =>
      mark === "%%"
        ? "%"
        : at < args.length
          ? mark === "%s"
            ? plain(args[at++])
            : inspect(args[at++])
          : mark,
    );
    return [
      filled,
      ...args.slice(at).map((item) => (typeof item === "string" ? item : inspect(item))),
    ].join(" ");
  }

  function inspect(value) {
    if (typeof value !== "object") return plain(value);
    try {
      return JSON.stringify(value) ?? "";
    } catch {
      return "[object]";
    }
  }

  // What takes a callback last, as a function that gives a promise.
  function promisify(fn) {
    if (typeof fn !== "function") return fn;
    if (fn.promised) return fn.promised;
    return function (...args) {
      return new Promise((ok, fail) =>
        fn.call(this, ...args, (error, value) => (error ? fail(error) : ok(value))),
      );
    };
  }

  const util = {
    format,
    inspect,
    promisify,
    callbackify:
      (fn) =>
      (...args) => {
        const done = args.pop();
        Promise.resolve(fn(...args)).then((value) => done(null, value), done);
      },
    inherits: (kind, parent) => Object.setPrototypeOf(kind.prototype, parent.prototype),
    deprecate: (fn) => fn,
    debuglog: () => () => {},
    isDeepStrictEqual: (a, b) => inspect(a) === inspect(b),
    types: new Proxy(
      {},
      {
        get: (_, name) => (value) =>
          Object.prototype.toString.call(value) === `[object ${String(name).slice(2)}]`,
      },
    ),
    TextEncoder: class {
      encode(text = "") {
        return new Uint8Array([...unescape(encodeURIComponent(text))].map((c) => c.charCodeAt(0)));
      }
    },
    TextDecoder: class {
      decode(bytes = []) {
        return decode(escape(String.fromCharCode(...bytes)));
      }
    },
    isArray: Array.isArray,
    parseArgs: () => ({ values: {}, positionals: [] }),
  };

  return {
    path,
    resolve,
    escapeHtml,
    withoutTags,
    quoteSql,
    quoteShell,
    querystring,
    util,
    decode,
  };
};
