// Where outside data comes from: parameters, request fields, argv, the environment.
//
// Each source of a call has a name and an index. In a benign call every source carries a marker of
// its own (the run's token and a letter); in an attack one carries the payload.
"use strict";
({ recording }) => {
  const { state } = recording;
  const LETTERS = 26;
  const SHAPES = [
    [/^(next|redirect|return_?to|return_?url|goto|continue)$/i, "/{m}"],
    [/ur[li]s?$|link|href|endpoint|webhook|website|^target$/i, "https://example.com/{m}"],
    [/e?mail|recipient/i, "{m}@example.com"],
    [/^(expr|expression|formula|equation|calculation)$/i, "{n}+1"],
    [/xml|soap/i, "<root><name>{m}</name></root>"],
    [/json/i, '{"name": "{m}"}'],
    [/^(n|num|number|count|size|limit|page|port|offset|year|amount|age|x|y|width|height)$/i, "{n}"],
    [/domain|hostname|^host$/i, "{m}.example.com"],
    [/^ip$|ip_?address|^addr$/i, "192.0.2.7"],
    [/file_?name|file_?path|^path$|^file$|document|attachment/i, "{m}.txt"],
    [/image|photo|avatar|picture/i, "{m}.png"],
    [/^(template|tpl)$/i, "Hello {m}"],
  ];
  const values = { names: [], target: null, payload: "" };

  function begin(target = null, payload = "") {
    values.target = target;
    values.payload = payload;
  }

  // `caught`: names whose markers may still be about; they keep their letters.
  function forget(caught = []) {
    values.names = [...caught];
  }

  function index(name) {
    const at = values.names.indexOf(name);
    if (at >= 0) return at;
    if (values.names.length >= LETTERS) return LETTERS - 1;
    return values.names.push(name) - 1;
  }

  function marker(at) {
    return state.token + String.fromCharCode(97 + at);
  }

  function text(name) {
    const at = index(name);
    if (values.target === name) return values.payload;
    const short = name.slice(name.lastIndexOf(":") + 1);
    const shape = SHAPES.find(([pattern]) => pattern.test(short));
    return (shape ? shape[1] : "{m}").replace("{m}", marker(at)).replace("{n}", state.NUMBER + at);
  }

  // What every object has; a request's fields do not carry data under these names.
  const COMMON = new Set([
    ...Object.getOwnPropertyNames(Object.prototype),
    "then",
    "toJSON",
    "length",
    "nodeType",
    "forEach",
    "map",
    "filter",
    "reduce",
    "$$typeof",
    "size",
  ]);

  // An object whose every field is a source.
  function fields(prefix, own = {}) {
    return new Proxy(own, {
      get(target, key, self) {
        if (typeof key === "symbol" || key in target || COMMON.has(key)) {
          return Reflect.get(target, key, self);
        }
        return text(`${prefix}:${key}`);
      },
      has: () => true,
      ownKeys: (target) => [...new Set([...Reflect.ownKeys(target), "name"])],
      getOwnPropertyDescriptor(target, key) {
        const found = Reflect.getOwnPropertyDescriptor(target, key);
        if (found || typeof key === "symbol" || COMMON.has(key)) return found;
        return {
          value: text(`${prefix}:${key}`),
          writable: true,
          enumerable: true,
          configurable: true,
        };
      },
    });
  }

  return { values, begin, forget, index, marker, text, fields };
};
