// `Buffer`, as far as snippets use it: bytes that become texts and back.
"use strict";
({ texts }) => {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  function utf8(text) {
    return [...unescape(encodeURIComponent(String(text).toWellFormed()))].map((c) =>
      c.charCodeAt(0),
    );
  }

  function toBase64(bytes) {
    let out = "";
    for (let at = 0; at < bytes.length; at += 3) {
      const group = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
      const letters = [18, 12, 6, 0].map((shift) => ALPHABET[(group >> shift) & 63]);
      out += letters
        .slice(0, Math.min(4, bytes.length - at + 1))
        .join("")
        .padEnd(4, "=");
    }
    return out;
  }

  function fromBase64(text) {
    const bytes = [];
    let bits = 0,
      count = 0;
    for (const letter of String(text).replace(/-/g, "+").replace(/_/g, "/")) {
      const value = ALPHABET.indexOf(letter);
      if (value < 0) continue;
      bits = ((bits << 6) | value) & 0xffffff;
      count += 6;
      if (count >= 8) {
        count -= 8;
        bytes.push((bits >> count) & 255);
      }
    }
    return bytes;
  }

  const ENCODINGS = {
    utf8: [
      utf8,
      (bytes) => texts.decode(escape(String.fromCharCode(...bytes)).replace(/\+/g, "%2B")),
    ],
    hex: [
      (text) => (text.match(/../g) ?? []).map((pair) => parseInt(pair, 16) || 0),
      (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    ],
    base64: [fromBase64, toBase64],
    base64url: [
      fromBase64,
      (bytes) => toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, ""),
    ],
    latin1: [
      (text) => [...text].map((c) => c.charCodeAt(0) & 255),
      (bytes) => String.fromCharCode(...bytes),
    ],
  };
  const encoding = (name) =>
    ENCODINGS[
      String(name ?? "utf8")
        .toLowerCase()
        .replace("-", "")
    ] ?? (/^(ascii|binary)$/i.test(name) ? ENCODINGS.latin1 : ENCODINGS.utf8);

  class Buffer extends Uint8Array {
    static from(value, name) {
      if (typeof value === "string") return super.from(encoding(name)[0](value));
      if (typeof value === "number") throw new TypeError("a number is no buffer");
      return super.from(value?.data ?? value ?? []);
    }
    static alloc(size) {
      return new Buffer(Math.min(size, 1 << 20));
    }
    static isBuffer(value) {
      return value instanceof Buffer;
    }
    static byteLength(text) {
      return utf8(text).length;
    }
    static concat(list) {
      return super.from(list.flatMap((item) => [...item]));
    }
    toString(name) {
      return encoding(name)[1](this);
    }
    toJSON() {
      return { type: "Buffer", data: [...this] };
    }
    equals(other) {
      return this.toString("hex") === Buffer.from(other).toString("hex");
    }
    write(text) {
      this.set(utf8(text).slice(0, this.length));
      return text.length;
    }
    copy(target, at = 0) {
      target.set(this, at);
      return this.length;
    }
    readUInt32BE(at = 0) {
      return ((this[at] << 24) | (this[at + 1] << 16) | (this[at + 2] << 8) | this[at + 3]) >>> 0;
    }
    readUInt8(at = 0) {
      return this[at];
    }
    readInt32LE(at = 0) {
      return this[at] | (this[at + 1] << 8) | (this[at + 2] << 16) | (this[at + 3] << 24);
    }
  }
  Buffer.allocUnsafe = Buffer.allocUnsafeSlow = Buffer.alloc;

  return {
    Buffer,
    atob: (text) => String.fromCharCode(...fromBase64(text)),
    btoa: (text) => toBase64(ENCODINGS.latin1[0](String(text))),
  };
};
