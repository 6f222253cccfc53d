// What every script finds in the global scope, and the ways to make code out of text.
"use strict";
({
  native,
  recording,
  sources,
  unknown,
  texts,
  buffers,
  urls,
  events,
  network,
  data,
  files,
  browser,
  modules,
}) => {
  const { sink, tainted, plain, later } = recording;
  const { evaluate } = native;

  const PATTERN = 4000; // letters of a pattern that is looked at

  class Exit extends Error {}

  // Code in a text: told; run only if no outside data is in it.
  function evaluated(text) {
    if (unknown.loose(text)) text = plain(text);
    if (typeof text !== "string") return text;
    sink("code", "eval", text);
    return tainted(text) ? undefined : evaluate(text, "<eval>");
  }

  function maker(kind, prefix) {
    const make = (args) => {
      const parts = args.map(plain);
      const body = parts.pop() ?? "";
      sink("code", kind.name || "Function", body);
      if (tainted(body) || tainted(parts)) return () => undefined;
      return evaluate(`(${prefix}(${parts.join(",")}\n) {\n${body}\n})`, "<function>");
    };
    const made = new Proxy(kind, {
      apply: (_, self, args) => make(args),
      construct: (_, args) => make(args),
    });
    Object.defineProperty(kind.prototype, "constructor", {
      value: made,
      writable: true,
      configurable: true,
    });
    return made;
  }
  const kinds = [
    [Function, "function"],
    [(async () => {}).constructor, "async function"],
    [function* () {}.constructor, "function*"],
    [async function* () {}.constructor, "async function*"],
  ];
  const [FunctionMaker] = kinds.map(([kind, prefix]) => maker(kind, prefix));

  // A pattern that a client wrote may not come to an end; one that a caller gives is meant to be one.
  const client = (at) => !/^[pu]:/.test(sources.values.names[at] ?? "p:");
  const told = ([text]) =>
    typeof text === "string" &&
    text.length < PATTERN &&
    recording.indexes(text).some(client) &&
    sink("pattern", "RegExp", text);
  const PatternMaker = new Proxy(RegExp, {
    apply: (kind, self, args) => (told(args), Reflect.apply(kind, self, args)),
    construct: (kind, args, target) => (told(args), Reflect.construct(kind, args, target)),
  });
  Object.defineProperty(RegExp.prototype, "constructor", {
    value: PatternMaker,
    writable: true,
    configurable: true,
  });

  function timer(fn, delay, ...args) {
    if (typeof fn === "function") later(fn, ...args);
    else if (fn !== undefined) evaluated(plain(fn));
    return { ref: () => 1, unref: () => 1, [Symbol.toPrimitive]: () => 1 };
  }

  const environment = new Proxy(
    { NODE_ENV: "production", HOME: "/home/user", PATH: "/usr/bin", PORT: "3000", USER: "user" },
    {
      get: (target, key) =>
        typeof key === "symbol" || key in target ? target[key] : sources.text(`environ:${key}`),
    },
  );
  const argv = new Proxy(["node", "/srv/app/app.js"], {
    get: (target, key) =>
      typeof key === "string" && /^\d+$/.test(key) && key > 1 && key < 12
        ? sources.text(`argv:${key - 1}`)
        : key === "length"
          ? 3
          : key === "slice"
            ? (start = 0) => [target[0], target[1], sources.text("argv:1")].slice(start)
            : target[key],
  });
  const exit = () => {
    throw new Exit("exit");
  };
  const process = Object.assign(new events.EventEmitter(), {
    env: environment,
    argv,
    exit,
    abort: exit,
    kill: () => true,
    cwd: () => "/srv/work",
    chdir() {},
    pid: 4242,
    ppid: 1,
    platform: "linux",
    arch: "x64",
    version: "v22.0.0",
    versions: { node: "22.0.0", v8: "12" },
    nextTick: (fn, ...args) => later(fn, ...args),
    uptime: () => 1,
    hrtime: Object.assign(() => [1, 0], { bigint: () => 1n }),
    memoryUsage: () => ({ rss: 5e7, heapUsed: 1e7, heapTotal: 2e7 }),
    getuid: () => 1000,
    umask: () => 18,
    emitWarning() {},
    exitCode: undefined,
    execPath: "/usr/bin/node",
    execArgv: [],
    stdin: new events.Readable(() => sources.text("input:line")),
    stdout: new events.Writable(),
    stderr: new events.Writable(),
    title: "node",
    release: { name: "node" },
    binding: (name) => unknown.unknown(`binding.${plain(name)}`),
    dlopen: (_, path) => sink("import", "process.dlopen", path),
    mainModule: { require: modules.require },
  });
  modules.MODULES.process = process;
  modules.MODULES.timers = { setTimeout: timer, setInterval: timer, setImmediate: timer };

  const quiet = () => undefined;
  const logged =
    (level) =>
    (...args) =>
      sink("log", `console.${level}`, args.map(plain).join(" "));
  const console = Object.fromEntries(
    ["log", "info", "warn", "error", "debug", "trace"].map((level) => [level, logged(level)]),
  );
  for (const name of [
    "table",
    "time",
    "timeEnd",
    "group",
    "groupEnd",
    "assert",
    "dir",
    "count",
    "clear",
  ])
    console[name] = quiet;

  const values = {
    eval: evaluated,
    Function: FunctionMaker,
    RegExp: PatternMaker,
    process,
    console,
    Buffer: buffers.Buffer,
    URL: urls.URL,
    URLSearchParams: urls.URLSearchParams,
    atob: buffers.atob,
    btoa: buffers.btoa,
    fetch: network.fetch,
    Headers: network.Headers,
    Response: network.Answer,
    XMLHttpRequest: network.XMLHttpRequest,
    Request: class {
      constructor(url) {
        this.url = plain(url);
      }
    },
    WebSocket: network.WebSocket,
    EventSource: network.WebSocket,
    setTimeout: timer,
    setInterval: timer,
    setImmediate: timer,
    clearTimeout: quiet,
    clearInterval: quiet,
    clearImmediate: quiet,
    requestAnimationFrame: timer,
    queueMicrotask: (fn) => later(fn),
    structuredClone: (value) => JSON.parse(JSON.stringify(value)),
    crypto: data.crypto,
    TextEncoder: texts.util.TextEncoder,
    TextDecoder: texts.util.TextDecoder,
    AbortController: class {
      constructor() {
        this.signal = {};
      }
      abort() {}
    },
    performance: { now: () => 1, mark: quiet, measure: quiet },
    document: browser.document,
    location: browser.location,
    navigator: browser.navigator,
    localStorage: browser.storage(),
    sessionStorage: browser.storage(),
    alert: quiet,
    confirm: () => true,
    prompt: (text) => sources.text("input:prompt"),
    $: browser.jQuery,
    jQuery: browser.jQuery,
    addEventListener: (name, fn) =>
      later(fn, { data: sources.text("message:data"), origin: "https://example.com" }),
    removeEventListener: quiet,
    postMessage: quiet,
    open: (url) => (
      url !== undefined && sink("redirect", "window.open", url),
      unknown.unknown("window")
    ),
    history: { pushState: quiet, replaceState: quiet },
    Worker: network.WebSocket,
    FormData: urls.URLSearchParams,
    EventEmitter: events.EventEmitter,
    HTMLElement: class {},
    Blob: class {},
    File: class {},
    FileReader: class {
      readAsText() {}
    },
    MutationObserver: class {
      observe() {}
    },
  };
  const fixed = values.eval;
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, {
      value,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }
  for (const name of ["global", "window", "self", "top", "parent"]) {
    Object.defineProperty(globalThis, name, {
      value: globalThis,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }

  function begin() {
    files.begin();
    data.begin();
  }

  return { begin, Exit, evaluated: fixed };
};
