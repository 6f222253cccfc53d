// What the host loads in the guest. The script's value is `install(native)`, called once before the
// snapshot; it returns `run(job)`, called in each copy.
//
// A job is JSON: `code`, and optionally `language` ("javascript" or "typescript"), `token` (letters
// that mark outside data), `probes` (kind, id, value) and `claims` (first and last line, kinds).
"use strict";
(function install(native) {
  const NAMES = [
    "safe",
    "recording",
    "sources",
    "unknown",
    "texts",
    "buffers",
    "urls",
    "events",
    "files",
    "processes",
    "network",
    "data",
    "web",
    "browser",
    "modules",
    "globals",
    "reading",
    "driver",
  ];
  const parts = { native, transform: native.load("/lib/library.js") };
  for (const name of NAMES) parts[name] = native.load(`/guest/${name}.js`)(parts);

  const { safe, recording, reading, driver, globals } = parts;

  function run(text) {
    const job = safe.parse(text);
    recording.begin(job.token || "canary");
    globals.begin();
    const texts = job.readings ?? [job.code];
    const read = reading.read(texts, job.language || "javascript");
    if (read === null) {
      recording.say("unreadable", "SyntaxError");
      return;
    }
    recording.say("readable", read.how);
    driver.run(read, job);
    recording.say("done");
  }

  const EXERCISE = `
    import express from "express";
    const { exec } = require("child_process");
    const app = express();
    interface Named { name: string }
    app.get("/x", async (req, res) => {
      const text: string = req.query.q;
      exec("ls " + text, () => {});
      res.send("<b>" + text + "</b>");
    });
    export function find(db: any, name: string) {
      return db.query("SELECT * FROM t WHERE n = '" + name + "'");
    }`;
  const probes = ["shell", "sql", "page"].map((kind) => ({ kind, id: kind, value: "<T>;x" }));
  run(JSON.stringify({ code: EXERCISE, language: "typescript", probes }));
  run(JSON.stringify({ code: "module.exports = (a) => eval(a)", probes }));
  globals.begin();
  return run;
});
