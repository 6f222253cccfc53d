// `fs`, over a disk in memory. Every path is told with where it leads; what was not written reads
// as a file with some text in it.
"use strict";
({ recording, texts, buffers, events }) => {
  const { sink, later, plain } = recording;
  const { Buffer } = buffers;
  let disk = new Map();

  const begin = () => {
    disk = new Map();
  };

  function told(api, path, detail = {}) {
    const raw = plain(path?.pathname ?? path).replace(/\0.*/, "");
    const full = texts.resolve(raw);
    sink("path", `fs.${api}`, full, { raw, ...detail });
    return full;
  }

  function content(path, options) {
    const text =
      disk.get(path) ?? (path.endsWith(".json") ? '{"name": "value"}' : "text of a file\n");
    const encoding = typeof options === "string" ? options : options?.encoding;
    return encoding ? text : Buffer.from(text);
  }

  const entry = (name) => ({
    name,
    isFile: () => true,
    isDirectory: () => false,
    isSymbolicLink: () => false,
  });
  const status = () => ({
    size: 64,
    mode: 0o100644,
    mtime: new Date(0),
    mtimeMs: 0,
    isFile: () => true,
    isDirectory: () => false,
    isSymbolicLink: () => false,
  });

  // Each as it is called without a callback; the other two ways are made from it.
  const calls = {
    readFile: (path, options) => content(told("readFile", path), options),
    writeFile: (path, data) => void disk.set(told("writeFile", path, { mode: "w" }), plain(data)),
    appendFile(path, data) {
      const full = told("appendFile", path, { mode: "a" });
      disk.set(full, (disk.get(full) ?? "") + plain(data));
    },
    unlink: (path) => void disk.delete(told("unlink", path)),
    rm: (path) => void disk.delete(told("rm", path)),
    rmdir: (path) => void told("rmdir", path),
    mkdir: (path) => void told("mkdir", path),
    mkdtemp: (prefix) => plain(prefix) + "abc123",
    stat: (path) => (told("stat", path), status()),
    lstat: (path) => (told("lstat", path), status()),
    access: (path) => void told("access", path),
    readdir: (path, options) => (
      told("readdir", path),
      options?.withFileTypes ? [entry("a.txt")] : ["a.txt"]
    ),
    realpath: (path) => told("realpath", path),
    readlink: (path) => told("readlink", path),
    rename: (from, to) => void (told("rename", from), disk.set(told("rename", to), "")),
    copyFile: (from, to) => void (told("copyFile", from), disk.set(told("copyFile", to), "")),
    cp: (from, to) => void (told("cp", from), told("cp", to)),
    symlink: (target, path) => void told("symlink", path),
    link: (target, path) => void told("link", path),
    chmod: (path, mode) => void sink("permission", "fs.chmod", path, { mode: Number(mode) }),
    chown: (path) => void told("chown", path),
    truncate: (path) => void told("truncate", path),
    utimes: (path) => void told("utimes", path),
    open: (path) => (told("open", path), 3),
    close: () => undefined,
    read: () => 0,
    write: () => 0,
  };

  const fs = {
    constants: { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1, O_RDONLY: 0, O_WRONLY: 1, O_CREAT: 64 },
    existsSync: (path) => (told("exists", path), true),
    exists: (path, done) => (told("exists", path), later(done, true)),
    createReadStream(path) {
      const full = told("createReadStream", path);
      return new events.Readable(() => content(full, "utf8"));
    },
    createWriteStream(path) {
      const full = told("createWriteStream", path, { mode: "w" });
      return new events.Writable({ write: (data) => disk.set(full, plain(data)) });
    },
    watch: () => new events.EventEmitter(),
    watchFile: () => undefined,
    promises: { constants: {} },
  };
  for (const [name, act] of Object.entries(calls)) {
    fs[name + "Sync"] = act;
    fs.promises[name] = async (...args) => act(...args);
    fs[name] = function (...args) {
      const done = args.findLast((item) => typeof item === "function");
      const value = act(...args);
      later(done, null, value);
    };
    fs[name].promised = fs.promises[name];
  }
  fs.promises.open = async (path) => {
    const full = told("open", path);
    return {
      readFile: async (options) => content(full, options),
      close: async () => undefined,
      writeFile: async (data) => void disk.set(full, plain(data)),
      stat: async () => status(),
    };
  };
  // `fs-extra` and the like: both forms by one name, and a few more names.
  const extra = { ...fs, ...fs.promises };
  for (const name of [
    "readJson",
    "outputFile",
    "ensureDir",
    "ensureFile",
    "remove",
    "move",
    "copy",
    "writeJson",
    "pathExists",
    "emptyDir",
  ]) {
    extra[name] = async (path, other) => (
      told(name, path),
      name === "move" || name === "copy" ? told(name, other) : { name: "value" }
    );
    extra[name + "Sync"] = (path) => (told(name, path), { name: "value" });
  }

  return { fs, extra, begin, told };
};
