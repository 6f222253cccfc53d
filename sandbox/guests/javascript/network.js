// The network: requests are told with their URL; every answer is fine and says little.
"use strict";
({ recording, sources, buffers, events, urls }) => {
  const { sink, later, plain, handler } = recording;

  class Answer extends events.Readable {
    constructor() {
      super(() => '{"name": "value"}');
      Object.assign(this, {
        ok: true,
        status: 200,
        statusCode: 200,
        statusText: "OK",
        redirected: false,
        headers: new Headers({ "content-type": "application/json" }),
      });
      this.data = this.body = { name: "value", id: 1, toString: () => "value" };
    }
    async json() {
      return { name: "value", id: 1 };
    }
    async text() {
      return "value";
    }
    async buffer() {
      return buffers.Buffer.from("value");
    }
    async arrayBuffer() {
      return new ArrayBuffer(4);
    }
    async blob() {
      return {};
    }
    clone() {
      return this;
    }
  }

  class Headers extends Map {
    constructor(given = {}) {
      super(typeof given[Symbol.iterator] === "function" ? [...given] : Object.entries(given));
    }
    get(name) {
      return super.get(String(name).toLowerCase()) ?? null;
    }
    append(name, value) {
      this.set(String(name).toLowerCase(), value);
    }
  }

  function address(given) {
    if (given === null || typeof given !== "object") return plain(given);
    if (given instanceof urls.URL) return given.href;
    const direct = given.url ?? given.uri ?? given.href;
    if (direct !== undefined)
      return (
        (given.baseURL && !/^[a-z]+:/i.test(direct) ? plain(given.baseURL) : "") + plain(direct)
      );
    const host = plain(given.host ?? given.hostname ?? "localhost");
    return `${given.protocol ?? "http:"}//${host}${given.port ? ":" + given.port : ""}${plain(given.path ?? "/")}`;
  }

  function told(api, given, options) {
    const unchecked = (given?.rejectUnauthorized ?? options?.rejectUnauthorized) === false;
    sink("url", api, address(given), unchecked ? { verify: false } : {});
  }

  class Request extends events.Writable {
    on(name, fn) {
      super.on(name, fn);
      if (name === "response") later(fn, new Answer());
      return this;
    }
    setTimeout() {
      return this;
    }
    setHeader() {
      return this;
    }
    destroy() {
      return this;
    }
    abort() {}
  }

  function request(api) {
    return (given, ...args) => {
      told(api, given, args[0]);
      later(
        args.findLast((item) => typeof item === "function"),
        new Answer(),
      );
      return new Request();
    };
  }

  class Server extends events.EventEmitter {
    on(name, fn) {
      if (name === "request" || name === "connection") handler(fn);
      return super.on(name, fn);
    }
    listen(...args) {
      later(args.findLast((item) => typeof item === "function"));
      return this;
    }
    address() {
      return { port: 3000 };
    }
    close() {
      return this;
    }
  }

  function server(...args) {
    for (const item of args) if (typeof item === "function") handler(item);
    return new Server();
  }

  const web = (api) => ({
    request: request(`${api}.request`),
    get: request(`${api}.get`),
    createServer: server,
    Server,
    Agent: class {},
    globalAgent: {},
    STATUS_CODES: { 200: "OK", 404: "Not Found" },
    METHODS: ["GET", "POST"],
  });

  class Socket extends events.Readable {
    connect(...args) {
      sink(
        "connect",
        "net.connect",
        args
          .filter((item) => typeof item !== "function")
          .map(place)
          .join(":"),
      );
      later(args.findLast((item) => typeof item === "function"));
      return this;
    }
    write(data) {
      sink("send", "socket.write", data);
      return true;
    }
    end() {
      return this;
    }
    setTimeout() {
      return this;
    }
    setNoDelay() {
      return this;
    }
  }
  const place = (given) =>
    given !== null && typeof given === "object"
      ? `${plain(given.host ?? "localhost")}:${plain(given.port ?? "")}`
      : plain(given);
  const connect = (...args) => new Socket().connect(...args);
  const net = {
    connect,
    createConnection: connect,
    Socket,
    createServer: server,
    Server,
    isIP: (text) => (/^\d+(\.\d+){3}$/.test(text) ? 4 : /:/.test(text) ? 6 : 0),
    isIPv4: (text) => /^\d+(\.\d+){3}$/.test(text),
    isIPv6: (text) => /:/.test(text),
  };

  const lookup = (host) =>
    /^(localhost|127\.|0\.0\.0\.0|\[?::1)/.test(host)
      ? "127.0.0.1"
      : /^\d+(\.\d+){3}$/.test(host)
        ? host
        : "93.184.215.14";
  const dns = {
    lookup: (host, ...args) => (
      sink("connect", "dns.lookup", host),
      later(args.at(-1), null, lookup(host), 4)
    ),
    resolve: (host, ...args) => later(args.at(-1), null, [lookup(host)]),
    resolve4: (host, done) => later(done, null, [lookup(host)]),
    promises: {
      lookup: async (host) => ({ address: lookup(host), family: 4 }),
      resolve4: async (host) => [lookup(host)],
    },
  };

  // An HTTP client package: a function, with a method for each verb, whose results can be awaited.
  function client(name) {
    const ask =
      (api) =>
      (given, ...args) => {
        told(
          api,
          given,
          args.find((item) => item !== null && typeof item === "object"),
        );
        const done = args.findLast((item) => typeof item === "function");
        later(done, null, new Answer(), "value");
        return fluent(new Answer());
      };
    const made = ask(name);
    for (const verb of [
      "get",
      "post",
      "put",
      "patch",
      "delete",
      "head",
      "request",
      "del",
      "stream",
      "options",
    ])
      made[verb] = ask(`${name}.${verb}`);
    made.create =
      made.extend =
      made.defaults =
        (base = {}) => {
          const inner = client(name);
          const prefix = plain(base.baseURL ?? base.prefixUrl ?? "");
          return prefix
            ? new Proxy(inner, {
                get: (target, verb) =>
                  typeof target[verb] !== "function"
                    ? target[verb]
                    : (path, ...args) =>
                        target[verb](/^[a-z]+:/i.test(path) ? path : prefix + plain(path), ...args),
              })
            : inner;
        };
    made.interceptors = { request: { use() {} }, response: { use() {} } };
    made.isAxiosError = () => false;
    made.default = made;
    return made;
  }

  // A promise of the answer on which superagent's chains work too.
  function fluent(answer) {
    const promise = Promise.resolve(answer);
    const same = () => promise;
    for (const name of ["set", "send", "query", "timeout", "type", "accept", "auth", "redirects"])
      promise[name] = same;
    promise.json = async () => answer.json();
    promise.text = async () => answer.text();
    promise.on = (name, fn) => (name === "response" && later(fn, answer), promise);
    promise.pipe = (target) => (target?.write?.("value"), target);
    promise.end = (done) => (later(done, null, answer), promise);
    return promise;
  }

  function fetch(given, options) {
    told("fetch", given, options);
    return Promise.resolve(new Answer());
  }

  class XMLHttpRequest extends events.EventEmitter {
    open(method, url) {
      told("XMLHttpRequest.open", url);
    }
    send() {
      later(() => this.onload?.());
      later(() => this.onreadystatechange?.());
    }
    setRequestHeader() {}
    addEventListener(name, fn) {
      later(fn, {});
    }
    get readyState() {
      return 4;
    }
    get status() {
      return 200;
    }
    get responseText() {
      return sources.text("answer:text");
    }
  }

  class WebSocket extends events.EventEmitter {
    constructor(url) {
      super();
      told("WebSocket", url);
    }
    send(data) {
      sink("send", "WebSocket.send", data);
    }
    addEventListener(name, fn) {
      this.on(name, fn);
    }
    close() {}
  }

  return {
    http: web("http"),
    https: web("https"),
    net,
    dns,
    client,
    fetch,
    Answer,
    Headers,
    XMLHttpRequest,
    WebSocket,
    Server,
  };
};
