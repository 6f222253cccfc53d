// What a page has: documents whose markup is a sink, and an address that comes from outside.
"use strict";
({ recording, sources, unknown, network, web }) => {
  const { sink, later, plain } = recording;
  const MARKUP = new Set(["innerHTML", "outerHTML", "srcdoc"]);
  const ADDRESSES = new Set(["src", "href", "action", "formAction"]);

  function element(name) {
    const own = {
      style: {},
      dataset: {},
      classList: { add() {}, remove() {}, toggle() {}, contains: () => false },
      value: undefined,
    };
    const proxy = new Proxy(own, {
      get(target, key) {
        if (key === "value" || key === "textContent" || key === "innerText")
          return own[key] ?? sources.text(`page:${key}`);
        if (key in methods) return methods[key];
        return key in target
          ? target[key]
          : typeof key === "symbol"
            ? undefined
            : unknown.unknown(`${name}.${key}`);
      },
      set(target, key, value) {
        if (MARKUP.has(key)) sink("page", `${name}.${key}`, value);
        else if (ADDRESSES.has(key) && /^\s*javascript:/i.test(plain(value)))
          sink("page", `${name}.${key}`, value);
        else if (/^on[a-z]+$/.test(String(key)) && typeof value === "function")
          later(value, unknown.unknown("event"));
        target[key] = value;
        return true;
      },
    });
    const methods = {
      insertAdjacentHTML: (where, text) => sink("page", `${name}.insertAdjacentHTML`, text),
      setAttribute(key, value) {
        if (/^on|^srcdoc$/i.test(key) || /^\s*javascript:/i.test(plain(value)))
          sink("page", `${name}.setAttribute`, value);
      },
      getAttribute: (key) => sources.text(`page:${plain(key)}`),
      addEventListener: (kind, fn) => later(fn, event(proxy)),
      appendChild: (child) => child,
      append() {},
      remove() {},
      prepend() {},
      replaceChildren() {},
      focus() {},
      click() {},
      submit() {},
      querySelector: () => element("element"),
      querySelectorAll: () => [element("element")],
      closest: () => element("element"),
      html: (text) => (text !== undefined && sink("page", `${name}.html`, text), proxy),
    };
    return proxy;
  }

  const event = (target) => ({
    target,
    currentTarget: target,
    data: sources.text("message:data"),
    origin: "https://example.com",
    preventDefault() {},
    stopPropagation() {},
    key: "Enter",
  });

  const document = element("document");
  Object.assign(document, {
    write: (text) => sink("page", "document.write", text),
    writeln: (text) => sink("page", "document.writeln", text),
    createElement: (kind) => element(plain(kind)),
    getElementById: () => element("element"),
    getElementsByClassName: () => [element("element")],
    getElementsByTagName: () => [element("element")],
    createTextNode: (text) => ({ text }),
    createDocumentFragment: () => element("fragment"),
    readyState: "complete",
    title: "",
  });
  document.body = element("body");
  document.head = element("head");
  Object.defineProperty(document, "cookie", {
    get: () => `name=${sources.text("cookies:name")}`,
    set: (text) => sink("cookie", "document.cookie", text),
  });
  Object.defineProperty(document, "referrer", { get: () => sources.text("headers:referer") });

  const location = {
    protocol: "https:",
    host: "example.com",
    hostname: "example.com",
    origin: "https://example.com",
    pathname: "/x",
    reload() {},
    assign: (url) => sink("redirect", "location.assign", url),
    replace: (url) => sink("redirect", "location.replace", url),
    toString: () => location.href,
  };
  Object.defineProperties(location, {
    search: { get: () => `?${web.asked()}` },
    hash: { get: () => `#${sources.text("query:hash")}` },
    href: {
      get: () => `https://example.com/x?name=${sources.text("query:name")}`,
      set: (url) => sink("redirect", "location.href", url),
    },
  });

  const storage = () => {
    const kept = new Map();
    return {
      getItem: (name) => kept.get(name) ?? sources.text(`storage:${plain(name)}`),
      setItem: (name, value) => void kept.set(name, plain(value)),
      removeItem: (name) => void kept.delete(name),
      clear: () => kept.clear(),
    };
  };

  function jQuery(selector) {
    if (typeof selector === "function") return void later(selector, jQuery);
    if (typeof selector === "string" && /^\s*</.test(selector)) sink("page", "$", selector);
    const made = {
      ready: (fn) => (later(fn), made),
      on: (...args) => (later(args.at(-1), event(document)), made),
      val: (text) => (text === undefined ? sources.text("page:value") : made),
      text: (text) => (text === undefined ? sources.text("page:text") : made),
      each: (fn) => (later(fn, 0, document), made),
      length: 1,
      0: document,
    };
    for (const name of ["html", "append", "prepend", "after", "before", "replaceWith"])
      made[name] = (text) => (typeof text === "string" && sink("page", `$.${name}`, text), made);
    return new Proxy(made, {
      get: (target, key) => (key in target || typeof key === "symbol" ? target[key] : () => made),
    });
  }
  for (const name of ["get", "post", "ajax", "getJSON"])
    jQuery[name] = (given, ...rest) =>
      network.client("$")[name === "post" ? "post" : "get"](given, ...rest);
  jQuery.globalEval = (text) => sink("code", "$.globalEval", text);

  return {
    document,
    location,
    jQuery,
    storage,
    navigator: {
      userAgent: "Mozilla/5.0",
      language: "en",
      clipboard: { writeText: async () => undefined },
    },
  };
};
