// `require`: node's modules and well-known packages by name; any other is a package of unknowns.
"use strict";
({
  recording,
  unknown,
  texts,
  buffers,
  urls,
  events,
  files,
  processes,
  network,
  data,
  web,
  browser,
  sources,
}) => {
  const { state, say, sink, tainted, plain, later, doubt } = recording;
  const { util, path, querystring } = texts;

  class AssertionError extends Error {}
  const assert = Object.assign(
    (value, text) => {
      if (!value) throw new AssertionError(text);
    },
    {
      AssertionError,
      ok: (value, text) => assert(value, text),
      equal: (a, b, text) => assert(a == b, text),
      strictEqual: (a, b, text) => assert(a === b, text),
      deepEqual: () => undefined,
      deepStrictEqual: () => undefined,
      notEqual: () => undefined,
      throws: () => undefined,
      rejects: async () => undefined,
      fail: (text) => assert(false, text),
    },
  );
  assert.strict = assert;

  const os = {
    platform: () => "linux",
    type: () => "Linux",
    arch: () => "x64",
    cpus: () => [{}, {}],
    tmpdir: () => "/tmp",
    homedir: () => "/home/user",
    hostname: () => "host",
    userInfo: () => ({ username: "user", uid: 1000 }),
    EOL: "\n",
    totalmem: () => 8e9,
    freemem: () => 4e9,
    release: () => "6.1",
    uptime: () => 1,
    loadavg: () => [0, 0, 0],
    networkInterfaces: () => ({}),
  };
  const same = (value, done) => (later(done, null, value), value);
  const zlib = Object.fromEntries(
    ["gzip", "gunzip", "deflate", "inflate", "brotliCompress", "brotliDecompress", "unzip"].flatMap(
      (name) => [
        [name, (value, ...rest) => same(value, rest.at(-1))],
        [name + "Sync", (value) => value],
      ],
    ),
  );
  for (const name of ["createGzip", "createGunzip", "createDeflate", "createInflate"])
    zlib[name] = () => new events.stream.Transform();

  const ask = (prompt) =>
    sources.text(`input:${plain(prompt).toLowerCase().replace(/\W+/g, "_").slice(0, 30)}`);
  const readline = {
    createInterface: () =>
      Object.assign(new events.EventEmitter(), {
        question: (prompt, ...rest) => later(rest.at(-1), ask(prompt)),
        close() {},
        prompt() {},
        setPrompt() {},
        on(name, fn) {
          if (name === "line") later(() => fn(ask("line")));
          return this;
        },
        async *[Symbol.asyncIterator]() {
          yield ask("line");
        },
      }),
  };
  const readlinePromises = {
    createInterface: () => ({ question: async (prompt) => ask(prompt), close() {} }),
  };

  class AsyncLocalStorage {
    run(store, fn, ...args) {
      return fn(...args);
    }
    getStore() {
      return {};
    }
  }

  const MODULES = {
    assert,
    buffer: { Buffer: buffers.Buffer },
    child_process: processes.module,
    crypto: data.crypto,
    dns: network.dns,
    "dns/promises": network.dns.promises,
    events: events.EventEmitter,
    fs: files.fs,
    "fs/promises": files.fs.promises,
    http: network.http,
    https: network.https,
    http2: network.http,
    net: network.net,
    tls: network.net,
    os,
    path,
    "path/posix": path,
    process: null,
    querystring,
    readline,
    "readline/promises": readlinePromises,
    stream: events.stream,
    "stream/promises": events.streamPromises,
    string_decoder: {
      StringDecoder: class {
        write(value) {
          return plain(value);
        }
        end() {
          return "";
        }
      },
    },
    timers: null,
    "timers/promises": {
      setTimeout: async (_, value) => value,
      setImmediate: async (value) => value,
    },
    url: urls.url,
    util,
    vm: data.vm,
    zlib,
    async_hooks: { AsyncLocalStorage },
    perf_hooks: { performance: { now: () => 1 } },
    punycode: { toASCII: plain, toUnicode: plain },
    v8: data.stored.v8,
    module: { createRequire: () => require },
    tty: { isatty: () => false },
    constants: {},
    // Packages.
    "fs-extra": files.extra,
    "graceful-fs": files.fs,
    "safe-buffer": { Buffer: buffers.Buffer },
    jquery: browser.jQuery,
    vm2: { VM: data.VM, NodeVM: data.VM, VMScript: data.vm.Script },
    "isolated-vm": null,
    ldapjs: data.ldapjs,
    ldapts: data.ldapjs,
    xpath: data.xpath,
    xmldom: data.xmldom,
    "@xmldom/xmldom": data.xmldom,
    libxmljs: data.libxmljs,
    libxmljs2: data.libxmljs,
    "escape-html": texts.escapeHtml,
    he: { encode: texts.escapeHtml, escape: texts.escapeHtml, decode: plain },
    "html-escaper": { escape: texts.escapeHtml },
    "lodash.escape": texts.escapeHtml,
    xss: texts.escapeHtml,
    "sanitize-html": texts.withoutTags,
    dompurify: { sanitize: texts.withoutTags },
    "isomorphic-dompurify": { sanitize: texts.withoutTags },
    striptags: texts.withoutTags,
    sqlstring: {
      escape: texts.quoteSql,
      escapeId: (name) => "`" + plain(name).replace(/`/g, "``") + "`",
    },
    "shell-quote": { quote: texts.quoteShell, parse: (text) => text.split(" ") },
    "shell-escape": texts.quoteShell,
    "safe-eval": data.code("safe-eval"),
    "static-eval": data.code("static-eval"),
    mathjs: { evaluate: (text) => 1, parse: () => ({ evaluate: () => 1 }) },
    dotenv: { config: () => ({}) },
    uuid: {
      v4: () => "00000000-0000-4000-8000-000000000001",
      v1: () => "00000000-0000-1000-8000-000000000001",
    },
    ...processes.runners,
    ...data.templates,
    ...data.stored,
    ...web.frameworks,
  };
  for (const name of [
    "axios",
    "node-fetch",
    "got",
    "request",
    "request-promise",
    "superagent",
    "undici",
    "needle",
    "phin",
    "bent",
    "cross-fetch",
  ])
    MODULES[name] = network.client(name);
  MODULES.undici.fetch = network.fetch;
  // Clients whose `escape` is the same as that of `sqlstring`; the rest of them is unknown.
  for (const name of ["mysql", "mysql2", "mysql2/promise"]) {
    const made = unknown.unknown(name);
    made.escape = texts.quoteSql;
    MODULES[name] = made;
  }
  const lodash = MODULES.lodash;
  MODULES.lodash = MODULES.underscore = new Proxy(lodash, {
    get: (target, key) => (key in target ? target[key] : unknown.unknown("_")[key]),
  });
  const VALIDATOR = {
    escape: texts.escapeHtml,
    isInt: (text) => /^[-+]?\d+$/.test(text),
    isNumeric: (text) => /^[-+]?\d+(\.\d+)?$/.test(text),
    isAlphanumeric: (text) => /^[0-9a-z]+$/i.test(text),
    isAlpha: (text) => /^[a-z]+$/i.test(text),
    isEmail: (text) => /^[\w.+-]+@[\w-]+(\.[\w-]+)+$/.test(text),
    isUUID: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
    isIP: (text) => network.net.isIP(text) > 0,
    isURL: (text) => /^(https?:\/\/)?[\w-]+(\.[\w-]+)+(\/\S*)?$/.test(text),
    isFQDN: (text) => /^[\w-]+(\.[\w-]+)+$/.test(text),
  };
  MODULES.validator = new Proxy(VALIDATOR, {
    get: (target, key) => (key in target ? target[key] : unknown.unknown("validator")[key]),
  });

  const cache = new Map();

  function require(name) {
    if (typeof name !== "string") name = plain(name);
    if (tainted(name)) {
      sink("import", "require", name);
      return unknown.unknown("module");
    }
    const short = name.replace(/^node:/, "");
    if (MODULES[short]) return MODULES[short];
    if (/\.json$/.test(short)) return { name: "value" };
    if (!cache.has(short))
      cache.set(
        short,
        unknown.unknown(short.replace(/^[./]+/, "").replace(/[/-]/g, "_") || "module"),
      );
    return cache.get(short);
  }
  Object.assign(require, {
    resolve: (name) => `/srv/app/node_modules/${plain(name)}`,
    cache: {},
    main: null,
  });

  // What code that was cut from its head most likely calls by these names.
  const USUAL = {
    child_process: "child_process",
    childProcess: "child_process",
    cp: "child_process",
    fs: "fs",
    fsp: "fs/promises",
    fse: "fs-extra",
    path: "path",
    os: "os",
    http: "http",
    https: "https",
    vm: "vm",
    util: "util",
    url: "url",
    querystring: "querystring",
    axios: "axios",
    got: "got",
    superagent: "superagent",
    express: "express",
    ejs: "ejs",
    pug: "pug",
    Handlebars: "handlebars",
    nunjucks: "nunjucks",
    yaml: "js-yaml",
    serialize: "node-serialize",
    libxmljs: "libxmljs",
    xpath: "xpath",
    validator: "validator",
    lodash: "lodash",
    _: "lodash",
  };
  const COMMANDS = ["exec", "execSync", "execFile", "execFileSync", "spawn", "spawnSync"];
  const APPS = new Set(["app", "router", "server", "fastify"]);
  state.usual = (name) => {
    const found = usual(name);
    if (found !== undefined) say("context", name);
    return found;
  };
  function usual(name) {
    if (Object.hasOwn(USUAL, name)) return require(USUAL[name]);
    if (APPS.has(name)) return web.frameworks.express();
    if (!COMMANDS.includes(name)) return undefined;
    return (...args) => {
      if (args.some(tainted)) doubt(name, false); // it may be another function of that name
      return processes.module[name](...args);
    };
  }

  return { require, MODULES };
};
