// Cryptography, code made at run time, templates, stored objects, directories and documents.
"use strict";
({ recording, buffers, texts, unknown }) => {
  const { sink, plain, later } = recording;
  const { Buffer } = buffers;
  const WEAK_HASHES = /^(md5|md4|sha-?1|ripemd)/i;
  const WEAK_CIPHERS = /(^|-)(des|rc4|rc2|bf|ecb)(-|$)|des3?|ecb/i;
  let drawn = 0;

  const begin = () => {
    drawn = 0;
  };

  // Not a digest, but like one: the same for the same text, and of the usual length.
  function digest(text, length = 32) {
    let state = 0x811c9dc5,
      out = "";
    while (out.length < 2 * length) {
      for (const letter of text + out.length)
        state = Math.imul(state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
      out += state.toString(16).padStart(8, "0");
    }
    return Buffer.from(out.slice(0, 2 * length), "hex");
  }

  class Hash {
    constructor(name, key) {
      Object.assign(this, { name, key, data: "" });
    }
    update(data) {
      this.data += plain(data);
      return this;
    }
    digest(encoding) {
      if (this.key === undefined) {
        sink(
          "hash",
          `crypto.createHash(${plain(this.name)})`,
          this.data,
          { cwe: WEAK_HASHES.test(this.name) ? [327, 328, 916] : [916] }, // fast is weak for passwords
        );
      }
      const bytes = digest(this.name + this.data);
      return encoding ? bytes.toString(encoding) : bytes;
    }
    copy() {
      return this;
    }
  }

  class Cipher {
    constructor(api, name, key, iv) {
      if (WEAK_CIPHERS.test(name)) sink("weak", api, name, { cwe: [327] });
      if (iv !== undefined && iv !== null) sink("iv", api, buffers.Buffer.from(iv).toString("hex"));
      this.data = "";
    }
    update(data, from, to) {
      this.data += plain(data);
      return to ? digest(this.data).toString(to) : digest(this.data);
    }
    final(to) {
      return to ? "" : Buffer.alloc(0);
    }
    setAuthTag() {
      return this;
    }
    getAuthTag() {
      return digest("tag", 16);
    }
    setAAD() {
      return this;
    }
    setAutoPadding() {
      return this;
    }
  }

  const bytes = (size) => digest(`random ${drawn++}`, Math.min(size, 4096));
  const derived =
    (api) =>
    (password, salt, ...args) => {
      sink("salt", api, buffers.Buffer.from(plain(salt)).toString("hex"));
      const size = args.find((item) => typeof item === "number" && item <= 512) ?? 32;
      later(
        args.findLast((item) => typeof item === "function"),
        null,
        digest(plain(password) + plain(salt), size),
      );
      return digest(plain(password) + plain(salt), size);
    };
  const crypto = {
    createHash: (name) => new Hash(plain(name)),
    createHmac: (name, key) => new Hash(plain(name), plain(key)),
    hash: (name, data, to = "hex") => new Hash(plain(name)).update(data).digest(to),
    createCipheriv: (name, key, iv) => new Cipher("crypto.createCipheriv", plain(name), key, iv),
    createDecipheriv: (name, key, iv) =>
      new Cipher("crypto.createDecipheriv", plain(name), key, iv),
    createCipher: (name) => (
      sink("weak", "crypto.createCipher", name, { cwe: [327] }),
      new Cipher("", "aes", null)
    ),
    createDecipher: (name) => new Cipher("crypto.createDecipher", plain(name), null),
    randomBytes: (size, done) => (later(done, null, bytes(size)), bytes(size)),
    pseudoRandomBytes: bytes,
    randomInt: (low, high) => (high === undefined ? 0 : low),
    randomFillSync: (buffer) => buffer,
    randomUUID: () => "00000000-0000-4000-8000-" + bytes(6).toString("hex"),
    getRandomValues: (array) => array.fill(7),
    timingSafeEqual: (a, b) => plain(a) === plain(b),
    pbkdf2: derived("crypto.pbkdf2"),
    pbkdf2Sync: derived("crypto.pbkdf2Sync"),
    scrypt: derived("crypto.scrypt"),
    scryptSync: derived("crypto.scryptSync"),
    createSign: (name) => Object.assign(new Hash(plain(name), ""), { sign: () => "signed" }),
    createVerify: (name) => Object.assign(new Hash(plain(name), ""), { verify: () => false }),
    getHashes: () => ["sha256"],
    getCiphers: () => ["aes-256-gcm"],
    constants: {},
  };
  crypto.webcrypto = crypto;
  crypto.subtle = unknown.unknown("crypto.subtle");

  // Code in a text. What it would do is not tried: that it is run at all is what is told.
  const code = (api) => (text) => (sink("code", api, text), undefined);
  const vm = {
    runInNewContext: code("vm.runInNewContext"),
    runInThisContext: code("vm.runInThisContext"),
    runInContext: code("vm.runInContext"),
    compileFunction: (text) => (sink("code", "vm.compileFunction", text), () => undefined),
    createContext: (context = {}) => context,
    isContext: () => true,
    Script: class {
      constructor(text) {
        sink("code", "vm.Script", text);
      }
      runInNewContext() {}
      runInThisContext() {}
      runInContext() {}
    },
  };
  class VM {
    run(text) {
      sink("code", "vm2.run", text);
    }
  }

  // A template's source; what fills it is told to no one, and comes out as it went in.
  const rendered =
    (api, escapes) =>
    (source, ...values) => {
      sink("template", api, source);
      const done = values.findLast((item) => typeof item === "function");
      const text = plain(source) + plain(values[0]);
      const out = escapes ? texts.escapeHtml(text) : text;
      later(done, null, out);
      return out;
    };
  const compiled = (api) => (source) => (
    sink("template", api, source),
    (values) => texts.escapeHtml(plain(values))
  );
  const fromFile = (path, values, done) => (later(done, null, "page"), Promise.resolve("page"));
  const templates = {
    ejs: {
      render: rendered("ejs.render", true),
      compile: compiled("ejs.compile"),
      renderFile: fromFile,
    },
    pug: {
      render: rendered("pug.render", true),
      compile: compiled("pug.compile"),
      renderFile: () => "page",
      compileFile: () => () => "page",
    },
    handlebars: {
      compile: compiled("Handlebars.compile"),
      registerHelper() {},
      registerPartial() {},
      SafeString: class {
        constructor(text) {
          this.text = text;
        }
        toString() {
          return this.text;
        }
      },
      escapeExpression: texts.escapeHtml,
    },
    nunjucks: {
      renderString: rendered("nunjucks.renderString", true),
      render: () => "page",
      compile: compiled("nunjucks.compile"),
      configure: () => templates.nunjucks,
      Environment: class {
        renderString(text, values) {
          return rendered("nunjucks.renderString", true)(text, values);
        }
        render() {
          return "page";
        }
      },
    },
    mustache: {
      render: rendered("mustache.render", true),
      parse: (text) => text,
      escape: texts.escapeHtml,
    },
    dot: { template: compiled("doT.template") },
    eta: { renderString: rendered("eta.renderString", true) },
    lodash: { template: compiled("_.template"), escape: texts.escapeHtml },
  };

  const object = (api) => (data) => (sink("object", api, data), { name: "value", id: 1 });
  const FULL = { name: "full" }; // the schema with functions among its types
  const stored = {
    "node-serialize": { unserialize: object("node-serialize.unserialize"), serialize: plain },
    "serialize-to-js": { deserialize: object("serialize-to-js.deserialize"), serialize: plain },
    funcster: { deepDeserialize: object("funcster.deepDeserialize") },
    cryo: { parse: object("cryo.parse"), stringify: plain },
    v8: { deserialize: () => ({ name: "value" }), serialize: () => Buffer.from("") },
    "js-yaml": {
      load: (text, options) => {
        if (options?.schema === FULL) sink("object", "js-yaml.load", text);
        return { name: "value" };
      },
      safeLoad: () => ({ name: "value" }),
      DEFAULT_FULL_SCHEMA: FULL,
      dump: plain,
    },
  };

  class Directory {
    search(base, options, done) {
      sink("ldap", "ldapjs.search", options?.filter ?? "");
      later(done, null, unknown.unknown("found"));
      return Promise.resolve({ searchEntries: [{ dn: "cn=a" }] });
    }
    bind(dn, secret, done) {
      later(done, null);
      return Promise.resolve();
    }
    on() {
      return this;
    }
    unbind() {}
  }
  const ldapjs = {
    createClient: () => new Directory(),
    Client: Directory,
    EqualityFilter: class {
      constructor(given) {
        this.given = texts.escapeHtml(plain(given));
      }
    },
  };

  const xpath = {
    select: (path) => (sink("xpath", "xpath.select", path), ["value"]),
    select1: (path) => (sink("xpath", "xpath.select1", path), "value"),
    evaluate: (path) => (sink("xpath", "xpath.evaluate", path), { stringValue: "value" }),
    parse: (path) => (sink("xpath", "xpath.parse", path), { select: () => [] }),
  };
  const parseXml = (api) => (text, options) => (
    sink("xml", api, text, { resolves: Boolean(options?.noent ?? options?.replaceEntities) }),
    unknown.unknown("document")
  );
  const libxmljs = {
    parseXml: parseXml("libxmljs.parseXml"),
    parseXmlString: parseXml("libxmljs.parseXmlString"),
    parseHtml: (text) => unknown.unknown("document"),
  };
  const xmldom = {
    DOMParser: class DOMParser {
      parseFromString() {
        return unknown.unknown("document");
      }
    },
  };

  return { crypto, vm, VM, templates, stored, ldapjs, xpath, libxmljs, xmldom, begin, code };
};
