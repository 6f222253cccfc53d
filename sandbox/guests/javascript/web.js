// Frameworks for servers: what is registered becomes an entry point; what is answered is a sink.
"use strict";
({ recording, sources, events, files, texts }) => {
  const { state, sink, plain, handler, later } = recording;
  const VERBS = [
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "all",
    "head",
    "options",
    "use",
    "route",
    "register",
    "param",
    "del",
  ];

  function request() {
    const req = new events.Readable(() => sources.text("body:text"));
    const headers = sources.fields("headers", {
      host: "example.com",
      "content-type": "application/json",
    });
    Object.assign(req, {
      method: "GET",
      protocol: "https",
      ip: "192.0.2.7",
      hostname: "example.com",
      baseUrl: "",
      secure: true,
      query: sources.fields("query"),
      body: state.body ?? sources.fields("body"),
      params: sources.fields("path"),
      headers,
      cookies: sources.fields("cookies"),
      signedCookies: sources.fields("cookies"),
      session: {
        id: "s1",
        userId: 1,
        user: { id: 1, name: "user" },
        save: (done) => later(done),
        destroy: (done) => later(done),
      },
      user: { id: 1, name: "user", role: "user" },
      files: sources.fields("files"),
      socket: { remoteAddress: "192.0.2.7" },
      connection: { remoteAddress: "192.0.2.7" },
      file: {
        originalname: "a.txt",
        path: "/tmp/upload",
        filename: "upload",
        mimetype: "text/plain",
        size: 1,
      },
      get: (name) => headers[plain(name).toLowerCase()],
      header: (name) => headers[plain(name).toLowerCase()],
      param: (name) => sources.text(`path:${plain(name)}`),
      is: () => true,
      accepts: () => true,
      nextUrl: {
        searchParams: { get: (name) => sources.text(`query:${plain(name)}`) },
        pathname: "/x",
      },
      json: async () => req.body,
      text: async () => sources.text("body:text"),
      formData: async () => sources.fields("form"),
      app: { get: () => undefined, locals: {} },
      log: { info() {}, error() {}, warn() {} },
      flash() {},
      next: () => undefined,
    });
    Object.defineProperty(req, "url", {
      get: () => `/x?${asked()}`,
      configurable: true,
    });
    Object.defineProperty(req, "originalUrl", { get: () => req.url, configurable: true });
    Object.defineProperty(req.file, "originalname", {
      get: () => sources.text("files:name"),
      enumerable: true,
    });
    // What koa and hapi call it by.
    Object.assign(req, {
      request: req,
      req,
      payload: req.body,
      state: { user: req.user },
      raw: req,
    });
    return req;
  }

  // What follows the question mark: a field for each name that the snippet asks for.
  const asked = () =>
    ["name", ...(state.keys ?? [])].map((key) => `${key}=${sources.text(`query:${key}`)}`).join("&");

  const place = (value) => plain(value);

  function response() {
    const res = new events.Writable({ write: (data) => page("res.write", data) });
    let html = true;
    function page(api, data) {
      if (
        html &&
        (typeof data === "string" ||
          (typeof data?.toString === "function" && data?.constructor?.name === "Buffer"))
      )
        sink("page", api, data);
    }
    function header(name, value) {
      const low = plain(name).toLowerCase();
      if (low === "content-type") html = !/json|plain|octet|csv|pdf|javascript/i.test(plain(value));
      // As node does: a header with a line break in it is refused.
      if (/[\r\n]/.test(plain(value))) throw new TypeError("Invalid character in header content");
      sink(low === "location" ? "redirect" : "raw_header", "setHeader", value);
      return res;
    }
    const all = (given) => {
      for (const [name, value] of Object.entries(given ?? {})) header(name, value);
      return res;
    };
    Object.assign(res, {
      statusCode: 200,
      headersSent: false,
      locals: {},
      res,
      status: () => res,
      sendStatus: () => res,
      code: () => res,
      vary: () => res,
      links: () => res,
      send: (data) => (page("res.send", data), res),
      json: () => res,
      jsonp: () => res,
      end: (data) => (data !== undefined && page("res.end", data), res),
      html: (data) => ((html = true), page("html", data), res),
      type: (kind) => header("content-type", kind),
      render: (view, values, done) => (later(done, null, "page"), res),
      redirect: (...args) => (sink("redirect", "res.redirect", place(args.at(-1))), res),
      location: (url) => (sink("redirect", "res.location", url), res),
      setHeader: header,
      header: (name, value) => (typeof name === "object" ? all(name) : header(name, value)),
      set: (name, value) => (typeof name === "object" ? all(name) : header(name, value)),
      append: header,
      writeHead: (status, ...rest) => all(rest.find((item) => typeof item === "object")),
      removeHeader: () => res,
      getHeader: () => undefined,
      get: () => undefined,
      flushHeaders() {},
      cookie: (name, value, options) => (
        sink("cookie", "res.cookie", value, {
          secure: Boolean(options?.secure),
          http_only: Boolean(options?.httpOnly),
        }),
        res
      ),
      clearCookie: () => res,
      attachment: () => res,
      sendFile: (path, options, done) => (sent("sendFile", path, options), later(done), res),
      download: (path, ...rest) => (
        sent("download", path),
        later(rest.findLast((item) => typeof item === "function")),
        res
      ),
      view: () => res,
      response: () => res,
      file: (path) => (sent("file", path), res),
    });
    return res;
  }

  // Express refuses to leave the folder given as `root`.
  function sent(api, path, options) {
    const root = options !== null && typeof options === "object" ? options.root : undefined;
    if (root === undefined) files.told(api, path);
    else if (!/(^|\/)\.\.(\/|$)/.test(texts.path.normalize(plain(path))))
      files.told(api, texts.path.join(plain(root), plain(path)));
    else throw Object.assign(new Error("Forbidden"), { status: 403 });
  }

  // koa's context is both at once.
  function context(req, res) {
    return new Proxy(req, {
      get: (target, key) =>
        key === "body"
          ? undefined
          : key === "response" || key === "res"
            ? res
            : key in target
              ? target[key]
              : res[key],
      set(target, key, value) {
        if (key === "body") res.send(value);
        else target[key] = value;
        return true;
      },
    });
  }

  function app() {
    const made = function () {};
    const add = (...args) => {
      const route = typeof args[0] === "string" ? args[0] : "";
      if (args[0] && typeof args[0] === "object" && typeof args[0].handler === "function")
        handler(args[0].handler, args[0].path ?? args[0].url ?? "");
      if (args.length === 1 && typeof args[0] === "string") return made; // `app.get("setting")`, `app.route("/x")`
      for (const item of args.flat(2))
        if (typeof item === "function" && !item.isApp && !item.isMiddleware) handler(item, route);
      return made;
    };
    for (const verb of VERBS) made[verb] = add;
    const start = (...args) => (later(args.findLast((item) => typeof item === "function")), made);
    Object.assign(made, {
      isApp: true,
      route: (given) => add(given),
      listen: start,
      set: () => made,
      engine: () => made,
      enable: () => made,
      disable: () => made,
      disabled: () => false,
      locals: {},
      on: () => made,
      decorate: () => made,
      addHook: add,
      ready: async () => made,
      close: async () => undefined,
      routes: () => made,
      allowedMethods: () => middleware(),
      callback: () => made,
      start: async () => made,
      log: { info() {}, error() {} },
      prefix: () => made,
      address: () => ({ port: 3000 }),
    });
    return made;
  }

  const middleware = () => Object.assign(() => undefined, { isMiddleware: true });
  const express = Object.assign(() => app(), {
    Router: app,
    json: middleware,
    urlencoded: middleware,
    text: middleware,
    raw: middleware,
    static: middleware,
    application: {},
    request: {},
    response: {},
  });
  class App {
    constructor() {
      return app();
    }
  }
  const hapi = { server: () => app(), Server: App };
  const MIDDLEWARE = new Set([
    "cors",
    "helmet",
    "morgan",
    "body-parser",
    "cookie-parser",
    "express-session",
    "compression",
    "multer",
    "express-rate-limit",
    "csurf",
    "passport",
    "connect-flash",
    "koa-bodyparser",
    "serve-static",
    "cookie-session",
  ]);

  // A middleware package: whatever is called on it, and on what that gives, is a middleware.
  const maker = () =>
    new Proxy(function () {}, {
      apply: () => maker(),
      construct: () => maker(),
      get: (target, key) => {
        if (key === "isMiddleware") return true;
        return typeof key === "symbol" || key === "then" || key in target ? target[key] : maker();
      },
    });

  const answered = {
    redirect: (url) => (sink("redirect", "redirect", url), {}),
    json: () => ({}),
    next: () => ({}),
    rewrite: () => ({}),
  };
  const frameworks = {
    "next/server": { NextResponse: answered, NextRequest: class {} },
    "next/navigation": answered,
    express,
    fastify: () => app(),
    koa: App,
    "koa-router": App,
    "@koa/router": App,
    "@hapi/hapi": hapi,
    hapi,
    polka: () => app(),
    restify: { createServer: () => app(), plugins: maker() },
    hono: { Hono: App },
  };
  for (const name of MIDDLEWARE) frameworks[name] = maker();

  return { asked, frameworks, request, response, context };
};
