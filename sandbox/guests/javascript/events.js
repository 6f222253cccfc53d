// Emitters and streams. What listens is called once the code that set it up has returned.
"use strict";
({ recording, buffers }) => {
  const { later } = recording;

  class EventEmitter {
    on(name, fn) {
      ((this.listenersOf ??= {})[name] ??= []).push(fn);
      return this;
    }
    emit(name, ...args) {
      const listeners = this.listenersOf?.[name] ?? [];
      for (const fn of [...listeners]) fn.apply(this, args);
      return listeners.length > 0;
    }
    removeListener(name, fn) {
      if (this.listenersOf?.[name])
        this.listenersOf[name] = this.listenersOf[name].filter((one) => one !== fn);
      return this;
    }
    removeAllListeners() {
      this.listenersOf = {};
      return this;
    }
    listeners(name) {
      return this.listenersOf?.[name] ?? [];
    }
    listenerCount(name) {
      return this.listeners(name).length;
    }
    setMaxListeners() {
      return this;
    }
  }
  const { prototype } = EventEmitter;
  Object.assign(prototype, {
    addListener: prototype.on,
    once: prototype.on,
    prependListener: prototype.on,
    off: prototype.removeListener,
  });
  Object.assign(EventEmitter, {
    EventEmitter,
    once: async () => [],
    defaultMaxListeners: 10,
  });

  // A readable stream that says one thing when it is listened to.
  class Readable extends EventEmitter {
    constructor(text = () => "data\n") {
      super();
      this.content = typeof text === "function" ? text : () => "data\n";
    }
    on(name, fn) {
      super.on(name, fn);
      if (name === "data") later(() => fn(buffers.Buffer.from(this.content())));
      if (name === "end" || name === "close" || name === "finish") later(fn, 0);
      return this;
    }
    once(name, fn) {
      return this.on(name, fn);
    }
    setEncoding() {
      return this;
    }
    pause() {
      return this;
    }
    resume() {
      return this;
    }
    destroy() {
      return this;
    }
    read() {
      return this.content();
    }
    pipe(target) {
      if (typeof target?.write === "function") target.write(this.content());
      return target;
    }
    async *[Symbol.asyncIterator]() {
      yield buffers.Buffer.from(this.content());
    }
    static from(items) {
      return new Readable(() => [...items].join(""));
    }
  }

  class Writable extends EventEmitter {
    constructor(options = {}) {
      super();
      this.take = options.write;
    }
    write(data, encoding, done) {
      this.take?.call(this, data, encoding, done ?? (() => {}));
      return true;
    }
    end(data) {
      if (data !== undefined) this.write(data);
      for (const fn of [...this.listeners("finish"), ...this.listeners("close")]) later(fn);
      return this;
    }
  }

  class Transform extends Readable {}
  Object.assign(Transform.prototype, {
    write: Writable.prototype.write,
    end: Writable.prototype.end,
  });

  function pipeline(...parts) {
    const done = typeof parts[parts.length - 1] === "function" ? parts.pop() : undefined;
    parts.reduce((from, to) => from.pipe?.(to) ?? to);
    later(done, null);
  }
  const promised = {
    pipeline: async (...parts) => pipeline(...parts),
    finished: async () => undefined,
  };
  const stream = {
    Readable,
    Writable,
    Transform,
    Duplex: Transform,
    PassThrough: Transform,
    pipeline,
    finished: (_, done) => later(done, null),
    promises: promised,
    Stream: Readable,
  };

  return { EventEmitter, Readable, Writable, stream, streamPromises: promised };
};
