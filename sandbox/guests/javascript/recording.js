// What a run records: calls, sinks and doubts, told to the host as one JSON array each.
//
// A sink is a place where data does something: a shell, a statement, a path, a page. The counts and
// `emit` stay in this closure, and nothing here uses what a snippet can replace. Nothing judges.
"use strict";
({ native, safe }) => {
  const EVENTS = 1900,
    TEXT = 640,
    PER_CALL = 48,
    ITEMS = 200,
    DEPTH = 8;
  const SNIPPET = "<snippet>";
  const NUMBER = 4700; // numeric markers are NUMBER + index of the source
  const { emit } = native;
  const { find, cut, letter, lower, apply, bare } = safe;
  const names = new WeakMap(); // stand-ins for what is unknown, and what they are called
  const loose = new WeakMap(); // those of names that nothing declares, and what makes their text
  const state = {
    SNIPPET,
    NUMBER,
    token: "canary",
    handlers: [],
    waiting: [],
    hits: bare(),
    names,
    loose,
    found: [],
  };
  let told = 0,
    doubts = 0,
    marked = 0,
    unmarked = 0;

  // An Error's stack is made by the engine; no snippet may have it made otherwise.
  Error.stackTraceLimit = 40;
  for (const name of ["prepareStackTrace", "stackTraceLimit"]) {
    Object.defineProperty(Error, name, { value: undefined, writable: true, configurable: true });
  }

  function begin(token) {
    told = doubts = marked = unmarked = 0;
    state.token = lower(safe.text(token));
    state.handlers = [];
    state.waiting = [];
    state.found = [];
    state.hits = bare();
  }

  function say(...event) {
    if (told >= EVENTS) return;
    told += 1;
    apply(emit, undefined, event);
  }

  function call(...event) {
    doubts = marked = unmarked = 0;
    state.hits = bare();
    apply(say, undefined, ["call", ...event]);
  }

  function end(ended, chosen, line) {
    say("end", ended, chosen, line, doubts);
  }

  // `hard`: by its name a check; else something unknown that merely saw the data.
  function doubt(name, hard = true) {
    doubts += 1;
    say("doubt", name, hard);
  }

  // Which sources are visible in a text, as an array of their indexes.
  function indexes(text) {
    const found = bare(),
      result = [];
    const low = lower(text);
    let count = 0;
    const add = (index) => {
      if (found[index]) return;
      found[index] = true;
      result[count++] = index;
    };
    for (let at = find(low, state.token); at >= 0; at = find(low, state.token, at + 1)) {
      const code = letter(low, at + state.token.length) - 97;
      if (code >= 0 && code < 26) add(code);
    }
    for (let at = find(low, "47"); at >= 0; at = find(low, "47", at + 1)) {
      const tens = letter(low, at + 2) - 48,
        ones = letter(low, at + 3) - 48;
      const next = letter(low, at + 4) - 48;
      const digits = tens >= 0 && tens < 10 && ones >= 0 && ones < 10;
      if (digits && !(next >= 0 && next < 10)) add(10 * tens + ones);
    }
    return result;
  }

  function tainted(value) {
    if (safe.has(loose, value)) return false; // to ask is not to use
    const text = plain(value);
    return find(lower(text), state.token) >= 0 || indexes(text).length > 0;
  }

  // A text for any value; never fails, never large.
  function plain(value) {
    try {
      return spelled(value, DEPTH, { left: ITEMS });
    } catch {
      return "?"; // a getter of the snippet's may throw anything
    }
  }

  function spelled(value, depth, items) {
    if (typeof value === "string") return value;
    if (safe.has(loose, value)) return safe.get(loose, value)();
    if (value === null || value === undefined || typeof value === "function") {
      return safe.has(names, value) ? safe.get(names, value) : "";
    }
    if (typeof value !== "object") return safe.text(value);
    if (safe.has(names, value)) return safe.get(names, value);
    if (depth <= 0) return "";
    const array = safe.isArray(value);
    const keys = safe.keys(value);
    let text = "";
    for (let at = 0; at < keys.length && at < 40 && items.left > 0; at++) {
      const key = keys[at];
      if (typeof key === "symbol" || (array && key === "length")) continue;
      items.left -= 1;
      const item = spelled(value[key], depth - 1, items);
      text += (text ? " " : "") + (array ? item : key + "=" + item);
    }
    return text;
  }

  // Line of the innermost call that belongs to the snippet; 0 where there is none.
  function callerLine() {
    const stack = new safe.Failure().stack;
    return lineIn(stack);
  }

  function lineIn(stack) {
    const at = typeof stack === "string" ? find(stack, SNIPPET + ":") : -1;
    let line = 0;
    for (let place = at + SNIPPET.length + 1; at >= 0; place++) {
      const digit = letter(stack, place) - 48;
      if (!(digit >= 0 && digit < 10)) break;
      line = 10 * line + digit;
    }
    return line;
  }

  // At most TEXT characters, with the first marker inside.
  function shortened(text) {
    if (text.length <= TEXT) return text;
    const at = find(lower(text), state.token);
    const start = at > TEXT / 2 ? at - TEXT / 2 : 0;
    return cut(text, start, start + TEXT);
  }

  // A loop's many sinks are told in part; if the part left out may matter, that is a doubt.
  function enough(isMarked) {
    if (!isMarked) return (unmarked += 1) > PER_CALL;
    if ((marked += 1) <= PER_CALL) return false;
    doubts += 1;
    return true;
  }

  // `also` is what was bound beside the text and cannot do what the text can.
  function sink(kind, api, value, { also, line, ...detail } = {}) {
    const text = plain(value);
    const visible = indexes(text);
    for (let at = 0; at < visible.length; at++) state.hits[`${visible[at]} ${kind}`] ??= text;
    let isMarked = visible.length > 0 || find(lower(text), state.token) >= 0;
    if (also !== undefined) {
      const bound = plain(also);
      const through = indexes(bound);
      if (through.length || find(lower(bound), state.token) >= 0) detail.bound = isMarked = true;
      for (let at = 0; at < through.length; at++) {
        state.hits[`${through[at]} ${kind}`] ??= text;
        if (!has(visible, through[at])) visible[visible.length] = through[at];
      }
    }
    if (enough(isMarked)) return;
    const where = line === undefined ? callerLine() : line;
    say("sink", kind, api, where, shortened(text), visible, detail);
  }

  function has(array, item) {
    for (let at = 0; at < array.length; at++) if (array[at] === item) return true;
    return false;
  }

  // A framework was given a function to call for requests.
  function handler(fn, route = "") {
    if (typeof fn !== "function" || safe.has(names, fn)) return;
    for (const [known] of state.handlers) if (known === fn) return;
    state.handlers.push([fn, plain(route)]);
  }

  // A function to be called once the code that gave it has returned.
  function later(fn, ...args) {
    if (typeof fn === "function") state.waiting.push([fn, args]);
  }

  return {
    state,
    begin,
    say,
    call,
    end,
    doubt,
    sink,
    plain,
    tainted,
    indexes,
    lineIn,
    handler,
    later,
  };
};
