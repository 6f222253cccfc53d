// The language's own functions as they were before any snippet ran. What a snippet does to
// prototypes is between it and its own code: the recorder uses nothing but these.
"use strict";
() => {
  const { bind, call } = Function.prototype;
  const uncurry = bind.bind(call);
  const method = (kind, name) => uncurry(kind.prototype[name]);
  const getter = (kind, name) => uncurry(Object.getOwnPropertyDescriptor(kind.prototype, name).get);
  const execute = method(RegExp, "exec");
  return Object.freeze({
    apply: Reflect.apply,
    keys: Reflect.ownKeys,
    describe: Reflect.getOwnPropertyDescriptor,
    parse: JSON.parse,
    stringify: JSON.stringify,
    text: String,
    Failure: Error,
    Pattern: RegExp,
    isArray: Array.isArray,
    bare: Object.create.bind(Object, null),
    lower: method(String, "toLowerCase"),
    find: method(String, "indexOf"),
    cut: method(String, "slice"),
    letter: method(String, "charCodeAt"),
    matches: (pattern, text) => execute(pattern, text) !== null,
    source: method(Function, "toString"),
    line: getter(Function, "lineNumber"),
    file: getter(Function, "fileName"),
    get: method(WeakMap, "get"),
    has: method(WeakMap, "has"),
    set: method(WeakMap, "set"),
  });
};
