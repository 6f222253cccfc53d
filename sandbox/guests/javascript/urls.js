// `URL`, `URLSearchParams` and the old `url` module.
"use strict";
({ texts }) => {
  const FORM =
    /^([a-z][a-z0-9+.-]*):(?:\/\/(?:([^\/?#@]*)@)?([^\/?#:]*|\[[^\]]*\])(?::(\d*))?)?([^?#]*)(\?[^#]*)?(#.*)?$/i;
  const PORTS = { "http:": "80", "https:": "443", "ftp:": "21", "ws:": "80", "wss:": "443" };

  class URLSearchParams {
    constructor(given = "") {
      const pairs =
        typeof given === "string"
          ? Object.entries(texts.querystring.parse(given.replace(/^\?/, "")))
          : typeof given[Symbol.iterator] === "function"
            ? [...given]
            : Object.entries(given);
      this.pairs = pairs.map(([key, value]) => [String(key), String(value)]);
    }
    get(name) {
      return this.pairs.find(([key]) => key === name)?.[1] ?? null;
    }
    getAll(name) {
      return this.pairs.filter(([key]) => key === name).map(([, value]) => value);
    }
    has(name) {
      return this.get(name) !== null;
    }
    append(name, value) {
      this.pairs.push([name, String(value)]);
    }
    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }
    delete(name) {
      this.pairs = this.pairs.filter(([key]) => key !== name);
    }
    toString() {
      return this.pairs
        .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
        .join("&");
    }
    forEach(fn) {
      for (const [key, value] of this.pairs) fn(value, key, this);
    }
    keys() {
      return this.pairs.map(([key]) => key)[Symbol.iterator]();
    }
    values() {
      return this.pairs.map(([, value]) => value)[Symbol.iterator]();
    }
    entries() {
      return this.pairs[Symbol.iterator]();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
  }

  class URL {
    constructor(text, base) {
      let parts = FORM.exec(cleaned(text));
      if (!parts && base !== undefined) parts = FORM.exec(joined(cleaned(text), new URL(base)));
      if (!parts) throw new TypeError("Invalid URL");
      const [, scheme, user = "", host = "", port = "", path, search = "", hash = ""] = parts;
      this.protocol = scheme.toLowerCase() + ":";
      [this.username, this.password = ""] = user.split(":");
      this.hostname = host.toLowerCase();
      if (this.protocol in PORTS && !this.hostname) throw new TypeError("Invalid URL");
      this.port = port === PORTS[this.protocol] ? "" : port;
      this.pathname =
        this.protocol in PORTS ? texts.path.normalize("/" + path.replace(/^\/+/, "")) : path;
      this.search = search === "?" ? "" : search;
      this.hash = hash;
      this.searchParams = new URLSearchParams(this.search);
    }
    get host() {
      return this.hostname + (this.port ? ":" + this.port : "");
    }
    get origin() {
      return this.protocol in PORTS ? `${this.protocol}//${this.host}` : "null";
    }
    get href() {
      const user = this.username
        ? `${this.username}${this.password ? ":" + this.password : ""}@`
        : "";
      const query = this.searchParams.pairs.length ? "?" + this.searchParams : this.search;
      return `${this.protocol}${this.host || this.protocol in PORTS ? "//" : ""}${user}${this.host}${this.pathname}${query}${this.hash}`;
    }
    toString() {
      return this.href;
    }
    toJSON() {
      return this.href;
    }
    static canParse(text, base) {
      try {
        return Boolean(new URL(text, base));
      } catch {
        return false;
      }
    }
    static parse(text, base) {
      return URL.canParse(text, base) ? new URL(text, base) : null;
    }
  }

  // As browsers do: no white space around, no tabs inside, backslashes are slashes.
  function cleaned(text) {
    const trimmed = String(text)
      .trim()
      .replace(/[\t\n\r]/g, "");
    return /^(https?|wss?|ftp):/i.test(trimmed)
      ? trimmed.replace(/\\/g, "/").replace(/^([a-z]+):\/*/i, "$1://")
      : trimmed;
  }

  function joined(text, base) {
    const path = text.replace(/\\/g, "/");
    if (path.startsWith("//")) return base.protocol + path;
    if (path[0] === "/") return base.origin + path;
    if (path[0] === "?" || path[0] === "#") return base.origin + base.pathname + path;
    return base.origin + texts.path.normalize(base.pathname.replace(/[^/]*$/, "") + path);
  }

  function parse(text, withQuery) {
    try {
      const found = new URL(text);
      const query = found.search.slice(1);
      return {
        protocol: found.protocol,
        host: found.host,
        hostname: found.hostname,
        port: found.port || null,
        pathname: found.pathname,
        path: found.pathname + found.search,
        search: found.search,
        query: withQuery ? texts.querystring.parse(query) : query,
        hash: found.hash,
        href: found.href,
      };
    } catch {
      const [path, query = ""] = String(text).split("?");
      return {
        protocol: null,
        host: null,
        hostname: null,
        pathname: path,
        path: text,
        href: text,
        search: query ? "?" + query : "",
        query: withQuery ? texts.querystring.parse(query) : query,
      };
    }
  }

  const url = {
    URL,
    URLSearchParams,
    parse,
    format: (given) =>
      typeof given === "string"
        ? given
        : (given.href ??
          `${given.protocol ?? "http:"}//${given.host ?? given.hostname ?? ""}${given.pathname ?? ""}${given.search ?? ""}`),
    resolve: (base, text) => new URL(text, base).href,
    fileURLToPath: (given) => new URL(given).pathname,
    pathToFileURL: (path) => new URL("file://" + path),
  };
  return { URL, URLSearchParams, url };
};
