// `child_process`: commands are told with whether a shell reads them; each ends well and says "done".
"use strict";
({ recording, buffers, events }) => {
  const { sink, later, plain } = recording;

  class Child extends events.EventEmitter {
    constructor() {
      super();
      Object.assign(this, {
        pid: 4242,
        exitCode: 0,
        killed: false,
        stdin: new events.Writable(),
        stdout: new events.Readable(() => "done\n"),
        stderr: new events.Readable(() => ""),
      });
    }
    on(name, fn) {
      super.on(name, fn);
      if (name === "close" || name === "exit") later(fn, 0, null);
      return this;
    }
    once(name, fn) {
      return this.on(name, fn);
    }
    kill() {
      return true;
    }
    send() {
      return true;
    }
    unref() {
      return this;
    }
    disconnect() {}
  }

  const optionsOf = (args) =>
    args.find((item) => item !== null && typeof item === "object" && !Array.isArray(item)) ?? {};
  const doneOf = (args) => args.findLast((item) => typeof item === "function");
  const output = (options) =>
    options.encoding && options.encoding !== "buffer" ? "done\n" : buffers.Buffer.from("done\n");

  function shell(api, command) {
    sink("shell", api, command);
  }

  // A program with a list of arguments, which no shell reads unless that is asked for.
  function program(api, file, args) {
    const list = Array.isArray(args[0]) ? args[0] : [];
    const words = [plain(file), ...list.map(plain)];
    if (optionsOf(args).shell) shell(api, words.join(" "));
    else sink("argv", api, words.join(" "), { program: words[0] });
  }

  function exec(command, ...args) {
    shell("child_process.exec", command);
    later(doneOf(args), null, "done\n", "");
    return new Child();
  }
  exec.promised = async (command) => (
    shell("child_process.exec", command),
    { stdout: "done\n", stderr: "" }
  );

  function execFile(file, ...args) {
    program("child_process.execFile", file, args);
    later(doneOf(args), null, "done\n", "");
    return new Child();
  }
  execFile.promised = async (file, ...args) => (
    program("child_process.execFile", file, args),
    { stdout: "done\n", stderr: "" }
  );

  const finished = (args) => ({
    status: 0,
    signal: null,
    pid: 4242,
    output: [null, "done\n", ""],
    stdout: output(optionsOf(args)),
    stderr: output(optionsOf(args)),
    error: undefined,
  });
  const module = {
    exec,
    execFile,
    ChildProcess: Child,
    execSync: (command, options) => (
      shell("child_process.execSync", command),
      output(options ?? {})
    ),
    execFileSync: (file, ...args) => (
      program("child_process.execFileSync", file, args),
      output(optionsOf(args))
    ),
    spawn: (file, ...args) => (program("child_process.spawn", file, args), new Child()),
    spawnSync: (file, ...args) => (program("child_process.spawnSync", file, args), finished(args)),
    fork: (path, ...args) => (sink("argv", "child_process.fork", path), new Child()),
  };

  // Packages that run commands: as a text that a shell reads, or as a template literal.
  const text = (first, rest) =>
    Array.isArray(first?.raw)
      ? first.map((part, at) => part + (at < rest.length ? plain(rest[at]) : "")).join("")
      : plain(first);
  const runners = {
    shelljs: {
      exec: (command) => (
        shell("shelljs.exec", command),
        { stdout: "done\n", stderr: "", code: 0 }
      ),
      which: plain,
      cd: plain,
      echo: plain,
    },
    "node-cmd": {
      run: (command, done) => (shell("node-cmd.run", command), later(done, null, "done\n")),
      get: (command, done) => (shell("node-cmd.get", command), later(done, null, "done\n")),
      runSync: (command) => (shell("node-cmd.runSync", command), { data: "done\n" }),
    },
    execa: {
      execa: async (file, ...args) => (
        program("execa", file, args),
        { stdout: "done", stderr: "" }
      ),
      execaSync: (file, ...args) => (
        program("execaSync", file, args),
        { stdout: "done", stderr: "" }
      ),
      execaCommand: async (command) => (
        sink("argv", "execaCommand", command),
        { stdout: "done", stderr: "" }
      ),
      $: async (first, ...rest) => (
        sink("argv", "execa.$", text(first, rest)),
        { stdout: "done", stderr: "" }
      ),
    },
    zx: {
      $: async (first, ...rest) => (
        sink("argv", "zx.$", text(first, rest)),
        { stdout: "done", stderr: "" }
      ),
    },
  };
  runners["cross-spawn"] = Object.assign((file, ...args) => module.spawn(file, ...args), module, {
    sync: module.spawnSync,
  });

  return { module, runners };
};
