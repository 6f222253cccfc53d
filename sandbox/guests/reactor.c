/* The Python guest: an interpreter that is initialised once, snapshotted, and then given one job.
 *
 * The host calls g_init before the snapshot, and in each fresh copy g_alloc and g_run once.
 * What happens inside reaches the host as events, each from one of these:
 *   channel 0  JSON written by the harness, through the `emit` function handed to it at g_init
 *   channel 1  JSON written here, from CPython's audit hook; guest code cannot suppress it
 *   channel 2  an allocation was refused; the run ends
 * They wait in g_pending (channel byte, length, text; one after the other) until that is full and
 * guard.events(pointer, length) takes them. What is left there when the run ends, by a trap too,
 * the host reads from memory. A call into the host costs more than most events' making.
 * `emit` is no module's attribute and works only for code compiled from /guest, a name that code
 * of a running job may not take. The closures, globals and frames of the harness's functions are
 * shut while a job runs, its code cannot be put to other use, and no code object can be made but
 * by the compiler: forged byte code reads and writes all of the guest's memory. Each attempt is
 * told on channel 1 as `guard.forgery`. For the rest: "What is not promised" in sandbox/README.md.
 */
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HARNESS "/guest/"
#define LIBRARY "/lib/"
#define FROZEN "<frozen " /* importlib, zipimport */
enum { FROM_HARNESS = 0, FROM_HOOK = 1, REFUSED_MEMORY = 2 };

#define EVENT_HEAD 5
#define PENDING_BYTES 32768

__attribute__((import_module("guard"), import_name("events"))) void
guard_events(const char *events, uint32_t length);

struct {
    uint32_t length;
    char events[PENDING_BYTES];
} g_pending;

static void deliver(void) {
    guard_events(g_pending.events, g_pending.length);
    g_pending.length = 0;
}

static void put_event(char *place, int channel, const char *text, uint32_t length) {
    place[0] = (char)channel;
    memcpy(place + 1, &length, sizeof length);
    if (length) memcpy(place + EVENT_HEAD, text, length);
}

static void send_large(int channel, const char *text, uint32_t length) {
    char *event = malloc(EVENT_HEAD + (size_t)length);
    if (event == NULL) __builtin_trap();
    put_event(event, channel, text, length);
    guard_events(event, EVENT_HEAD + length);
    free(event);
}

static void send(int channel, const char *text, uint32_t length) {
    if (EVENT_HEAD + length > PENDING_BYTES - g_pending.length) deliver();
    if (EVENT_HEAD + length > PENDING_BYTES) { send_large(channel, text, length); return; }
    put_event(g_pending.events + g_pending.length, channel, text, length);
    g_pending.length += EVENT_HEAD + length;
}

static PyObject *run_function;
static int active; /* a job is running: events count, and the harness's name is protected */

/* --- JSON of audit arguments -----------------------------------------------------------------
 * Only exact built-in types are read, so that no guest code (a __repr__, a __str__) ever runs
 * inside the hook. Anything else is told by the name of its type. */

#define EVENT_BYTES 16384
#define STRING_BYTES 4096
#define ITEMS 64

typedef struct {
    char text[EVENT_BYTES + 64]; /* the slack closes what is open when the text is full */
    int length;
} Event;

static int full(const Event *event) { return event->length >= EVENT_BYTES; }

static void put(Event *event, char c) {
    if (event->length < (int)sizeof event->text) event->text[event->length++] = c;
}

static void put_raw(Event *event, const char *text) {
    while (*text) put(event, *text++);
}

static void put_bytes(Event *event, const char *text, Py_ssize_t length) {
    static const char hex[] = "0123456789abcdef";
    if (length > STRING_BYTES) { /* cut between characters, not inside one */
        length = STRING_BYTES;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
    }
    put(event, '"');
    for (Py_ssize_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80 && event->length > EVENT_BYTES - 8) break;
        if (c == '"' || c == '\\') { put(event, '\\'); put(event, (char)c); }
        else if (c < 0x20 || c == 0x7f) {
            put_raw(event, "\\u00"); put(event, hex[c >> 4]); put(event, hex[c & 15]);
        } else put(event, (char)c);
    }
    put(event, '"');
}

static void put_encoded(Event *event, PyObject *encoded) {
    if (encoded == NULL) { PyErr_Clear(); put_raw(event, "null"); return; }
    put_bytes(event, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
}

static void put_text(Event *event, PyObject *text) { /* lone surrogates become \udcXX in words */
    put_encoded(event, PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
}

static void put_octets(Event *event, PyObject *octets) {
    PyObject *text = PyUnicode_DecodeUTF8(
        PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), "backslashreplace");
    if (text == NULL) { PyErr_Clear(); put_raw(event, "null"); return; }
    put_text(event, text);
    Py_DECREF(text);
}

static void put_integer(Event *event, PyObject *integer) {
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(integer, &overflow);
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", value);
    put_raw(event, overflow ? "\"<large int>\"" : digits);
}

static void put_value(Event *event, PyObject *value, int depth);

static void put_items(Event *event, PyObject *items, int depth) {
    Py_ssize_t count = PyList_CheckExact(items) ? PyList_GET_SIZE(items) : PyTuple_GET_SIZE(items);
    put(event, '[');
    for (Py_ssize_t i = 0; i < count && i < ITEMS && !full(event); i++) {
        if (i) put(event, ',');
        put_value(event, PyList_CheckExact(items) ? PyList_GET_ITEM(items, i)
                                                  : PyTuple_GET_ITEM(items, i), depth - 1);
    }
    put(event, ']');
}

static void put_value(Event *event, PyObject *value, int depth) {
    if (value == Py_None) put_raw(event, "null");
    else if (value == Py_True) put_raw(event, "true");
    else if (value == Py_False) put_raw(event, "false");
    else if (PyUnicode_CheckExact(value)) put_text(event, value);
    else if (PyBytes_CheckExact(value)) put_octets(event, value);
    else if (PyLong_CheckExact(value)) put_integer(event, value);
    else if (PyCode_Check(value)) put_text(event, ((PyCodeObject *)value)->co_filename);
    else if (depth > 0 && (PyList_CheckExact(value) || PyTuple_CheckExact(value)))
        put_items(event, value, depth);
    else { put(event, '"'); put(event, '<'); put_raw(event, "object"); put_raw(event, ">\""); }
}

/* --- What the hook tells and forbids --------------------------------------------------------- */

/* Names end in '.' where a whole family is told. `sys._getframe`, `object.__getattr__` and the
 * like are left out: the standard library raises them all the time. */
static const char *const TOLD[] = {
    "open", "exec", "compile", "import", "os.", "subprocess.", "socket.", "sqlite3.", "pickle.",
    "shutil.", "tempfile.", "glob.", "urllib.", "http.", "ftplib.", "smtplib.",
    "poplib.", "imaplib.", "webbrowser.", "ctypes.", "mmap.", "pty.", "builtins.input", "gc.",
    "sys.addaudithook", "sys.settrace", "sys.setprofile", "code.__new__", "cpython.run_", NULL};

static int told(const char *name) {
    for (const char *const *entry = TOLD; *entry; entry++) {
        size_t length = strlen(*entry);
        char last = (*entry)[length - 1];
        if (last == '.' || last == '_' ? strncmp(name, *entry, length) == 0
                                       : strcmp(name, *entry) == 0) return 1;
    }
    return 0;
}

static int starts_with(PyObject *name, const char *start) {
    if (name == NULL || !PyUnicode_Check(name)) return 0;
    const char *text = PyUnicode_AsUTF8(name);
    if (text == NULL) PyErr_Clear(); /* lone surrogates: no name of ours */
    return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

static int is_reserved(PyObject *name) { /* as the file name of a code object */
    return starts_with(name, HARNESS) || starts_with(name, LIBRARY) || starts_with(name, FROZEN);
}

static int is_harness(PyObject *code) {
    return code != NULL && PyCode_Check(code)
        && starts_with(((PyCodeObject *)code)->co_filename, HARNESS);
}

/* Whether the Python function that runs now was compiled from such a file. */
static int called_from(const char *start) {
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    if (frame == NULL) return 0;
    PyCodeObject *code = PyFrame_GetCode(frame);
    int ours = starts_with(code->co_filename, start);
    Py_DECREF(code);
    Py_DECREF(frame);
    return ours;
}

static PyObject *argument(PyObject *arguments, Py_ssize_t index) {
    return PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) > index
               ? PyTuple_GET_ITEM(arguments, index) : NULL;
}

static int any_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return 1;
    return 0;
}

/* Walks over all objects, watchers of all calls, and code objects that no compiler made. */
static const char *const REFUSED[] = {
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys.settrace", "sys.setprofile",
    "sys.addaudithook", "sys.monitoring.register_callback", "marshal.loads", "marshal.load", NULL};

/* Attempts to reach the harness, or to leave the rules that keep it out of reach. */
static int forgery(const char *name, PyObject *arguments) {
    if (strcmp(name, "compile") == 0) return is_reserved(argument(arguments, 1));
    if (strcmp(name, "exec") == 0 || strcmp(name, "function.__new__") == 0)
        return is_harness(argument(arguments, 0));
    if (strcmp(name, "code.__new__") == 0) /* `types.coroutine` changes a flag of sound code */
        return !called_from(LIBRARY) || is_reserved(argument(arguments, 1));
    return any_of(name, REFUSED);
}

static int refuse(const char *name) {
    PyErr_Format(PyExc_RuntimeError, "%s is not available here", name);
    return -1;
}

static void tell_forgery(const char *what) {
    Event event = {.length = 0};
    put_raw(&event, "[\"guard.forgery\",");
    put_bytes(&event, what, (Py_ssize_t)strlen(what));
    put(&event, ']');
    send(FROM_HOOK, event.text, (uint32_t)event.length);
}

static void tell(const char *name, PyObject *arguments) {
    static Event event;
    event.length = 0;
    put(&event, '[');
    put_bytes(&event, name, (Py_ssize_t)strlen(name));
    Py_ssize_t count = PyTuple_Check(arguments) ? PyTuple_GET_SIZE(arguments) : 0;
    if (strcmp(name, "import") == 0 && count > 1) count = 1; /* the rest is the search path */
    for (Py_ssize_t i = 0; i < count && i < ITEMS && !full(&event); i++) {
        put(&event, ',');
        put_value(&event, PyTuple_GET_ITEM(arguments, i), 2);
    }
    put(&event, ']');
    send(FROM_HOOK, event.text, (uint32_t)event.length);
}

static int hook(const char *name, PyObject *arguments, void *unused) {
    (void)unused;
    if (!active) return 0;
    if (forgery(name, arguments)) {
        tell_forgery(name);
        return refuse(name);
    }
    if (told(name)) tell(name, arguments);
    return 0;
}

/* --- emit ------------------------------------------------------------------------------------ */

static PyObject *emit(PyObject *self, PyObject *event) {
    (void)self;
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(event, &text, &length) < 0) return NULL;
    if (active && !called_from(HARNESS)) {
        tell_forgery("emit");
        refuse("emit");
        return NULL;
    }
    if (active) send(FROM_HARNESS, text, (uint32_t)length);
    Py_RETURN_NONE;
}

static PyMethodDef emit_definition = {"emit", emit, METH_O, NULL};

/* --- The harness's insides --------------------------------------------------------------------
 * Descriptors in the place of the interpreter's own. They ask who asks: for a function or a frame
 * of the harness, only the harness gets an answer while a job runs. */

typedef struct {
    PyTypeObject *type;
    const char *name;
    int readable; /* by everyone; then only setting is guarded */
    PyGetSetDef definition;
    PyObject *original;
} Guarded;

static PyObject *code_of(PyObject *object) { /* borrowed */
    if (PyFunction_Check(object)) return PyFunction_GET_CODE(object);
    PyCodeObject *code = PyFrame_GetCode((PyFrameObject *)object);
    Py_DECREF(code); /* the frame keeps it */
    return (PyObject *)code;
}

static int is_shut(PyObject *object, PyObject *value) {
    return active && (is_harness(code_of(object)) || is_harness(value)) && !called_from(HARNESS);
}

static int shut(const Guarded *guarded) {
    if (!called_from(LIBRARY)) tell_forgery(guarded->name); /* `inspect` looks at everything */
    PyErr_SetString(PyExc_AttributeError, guarded->name);
    return -1;
}

static PyObject *get_guarded(PyObject *object, void *closure) {
    const Guarded *guarded = closure;
    if (!guarded->readable && is_shut(object, NULL) && shut(guarded)) return NULL;
    descrgetfunc get = Py_TYPE(guarded->original)->tp_descr_get;
    return get(guarded->original, object, (PyObject *)Py_TYPE(object));
}

static int set_guarded(PyObject *object, PyObject *value, void *closure) {
    const Guarded *guarded = closure;
    if (is_shut(object, value) && shut(guarded)) return -1;
    descrsetfunc set = Py_TYPE(guarded->original)->tp_descr_set;
    if (set != NULL) return set(guarded->original, object, value);
    PyErr_SetString(PyExc_AttributeError, "readonly attribute");
    return -1;
}

static Guarded guarded[] = {
    {&PyFunction_Type, "__closure__", 0}, {&PyFunction_Type, "__globals__", 0},
    {&PyFunction_Type, "__builtins__", 0}, {&PyFunction_Type, "__code__", 1},
    {&PyFunction_Type, "__defaults__", 1}, {&PyFunction_Type, "__kwdefaults__", 1},
    {&PyFrame_Type, "f_locals", 0}, {&PyFrame_Type, "f_globals", 0},
    {&PyFrame_Type, "f_builtins", 0}, {&PyFrame_Type, "f_lineno", 1},
};

static void must(int fine, const char *what);

static void shut_insides(void) {
    for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
        Guarded *one = &guarded[i];
        PyObject *space = PyType_GetDict(one->type);
        one->original = Py_XNewRef(PyDict_GetItemString(space, one->name));
        must(one->original != NULL, one->name);
        one->definition = (PyGetSetDef){one->name, get_guarded, set_guarded, NULL, one};
        PyObject *descriptor = PyDescr_NewGetSet(one->type, &one->definition);
        must(descriptor && !PyDict_SetItemString(space, one->name, descriptor), one->name);
        Py_DECREF(descriptor);
        Py_DECREF(space);
        PyType_Modified(one->type);
    }
}

/* Classes whose methods the harness calls with its own state as `self`: they keep their methods. */
static void seal(PyObject *harness) {
    PyObject *sealed = PyObject_GetAttrString(harness, "SEALED");
    if (sealed == NULL) { PyErr_Clear(); return; } /* a harness that has none */
    must(PyTuple_Check(sealed), "reading harness.SEALED");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(sealed); i++) {
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(sealed, i);
        must(PyType_Check(type), "sealing a class");
        type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
        PyType_Modified(type);
    }
    Py_DECREF(sealed);
}

/* --- Memory ---------------------------------------------------------------------------------- */

static PyMemAllocatorEx raw;

static void *or_end(void *memory, size_t size) { /* a refusal ends the run: see Limits.memory */
    if (memory == NULL && size > 0 && active) {
        send(REFUSED_MEMORY, NULL, 0);
        __builtin_trap();
    }
    return memory;
}

static void *raw_malloc(void *c, size_t n) { return or_end(raw.malloc(c, n), n); }
static void *raw_calloc(void *c, size_t n, size_t m) { return or_end(raw.calloc(c, n, m), n); }
static void *raw_realloc(void *c, void *p, size_t n) { return or_end(raw.realloc(c, p, n), n); }
static void raw_free(void *c, void *p) { raw.free(c, p); }

static void watch_memory(void) {
    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyMemAllocatorEx watched = {raw.ctx, raw_malloc, raw_calloc, raw_realloc, raw_free};
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &watched);
}

/* --- Immortality -----------------------------------------------------------------------------
 * Each copy of the guest shares the snapshot's pages until it writes to them, and a reference count
 * is a write. So what exists after the initialisation is made immortal: its counts never change.
 * Nothing is lost by that, since no copy outlives its one job. */

typedef struct {
    PyObject **items;
    size_t count, room;
} Pending;

static void push(Pending *pending, PyObject *object) {
    if (pending->count == pending->room) {
        pending->room = pending->room ? 2 * pending->room : 4096;
        pending->items = realloc(pending->items, pending->room * sizeof *pending->items);
        if (pending->items == NULL) abort();
    }
    pending->items[pending->count++] = object;
}

static int immortalise(PyObject *object, void *pending) {
    if (object == NULL || _Py_IsImmortal(object)) return 0;
    Py_SET_REFCNT(object, _Py_IMMORTAL_REFCNT);
    push(pending, object);
    return 0;
}

/* What an object refers to, and tp_traverse does not tell since it cannot be part of a cycle. */
static void immortalise_parts(PyObject *object, Pending *pending) {
    if (PyDict_Check(object)) {
        Py_ssize_t position = 0;
        PyObject *key;
        while (PyDict_Next(object, &position, &key, NULL)) immortalise(key, pending);
    }
    if (PyCode_Check(object)) {
        PyCodeObject *code = (PyCodeObject *)object;
        PyObject *parts[] = {code->co_consts, code->co_names, code->co_localsplusnames,
                             code->co_filename, code->co_name, code->co_qualname,
                             code->co_linetable, code->co_exceptiontable};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) immortalise(parts[i], pending);
    }
}

static int collect(PyObject *object, void *pending) {
    if (!_Py_IsImmortal(object)) Py_SET_REFCNT(object, _Py_IMMORTAL_REFCNT);
    push(pending, object); /* also one that was immortal already: its parts may not be */
    return 1;
}

static void immortalise_all(void) {
    Pending pending = {NULL, 0, 0};
    PyUnstable_GC_VisitObjects(collect, &pending);
    while (pending.count > 0) {
        PyObject *object = pending.items[--pending.count];
        immortalise_parts(object, &pending);
        traverseproc traverse = Py_TYPE(object)->tp_traverse;
        if (traverse != NULL && PyObject_IS_GC(object)) traverse(object, immortalise, &pending);
    }
    free(pending.items);
}

/* --- Exports --------------------------------------------------------------------------------- */

static void configure(PyConfig *config) {
    PyConfig_InitIsolatedConfig(config);
    config->site_import = 0;
    config->write_bytecode = 0;
    config->use_hash_seed = 1; /* seed 0: the same program does the same on every run */
    config->install_signal_handlers = 0;
    config->pathconfig_warnings = 0;
    config->buffered_stdio = 0;
    config->module_search_paths_set = 1;
    PyConfig_SetString(config, &config->program_name, L"python");
    PyConfig_SetString(config, &config->executable, L"/usr/bin/python3");
    PyConfig_SetString(config, &config->base_executable, L"/usr/bin/python3");
    PyConfig_SetString(config, &config->prefix, L"/usr");
    PyConfig_SetString(config, &config->exec_prefix, L"/usr");
    PyConfig_SetString(config, &config->base_prefix, L"/usr");
    PyConfig_SetString(config, &config->base_exec_prefix, L"/usr");
    PyWideStringList_Append(&config->module_search_paths, L"/guest");
    PyWideStringList_Append(&config->module_search_paths, L"/lib/python.zip");
}

static void must(int fine, const char *what) {
    if (fine) return;
    fprintf(stderr, "guest: %s failed\n", what);
    if (PyErr_Occurred()) PyErr_Print();
    abort();
}

static void load_harness(void) {
    PyObject *harness = PyImport_ImportModule("harness");
    must(harness != NULL, "import of the harness");
    PyObject *function = PyCFunction_New(&emit_definition, NULL);
    must(function != NULL, "making emit");
    PyObject *installed = PyObject_CallMethod(harness, "install", "O", function);
    must(installed != NULL, "harness.install");
    run_function = PyObject_GetAttrString(harness, "run");
    must(run_function != NULL, "finding harness.run");
    seal(harness);
    Py_DECREF(installed);
    Py_DECREF(function);
    Py_DECREF(harness);
}

__attribute__((export_name("g_init"))) void g_init(void) {
    PyPreConfig preconfig;
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    must(!PyStatus_Exception(Py_PreInitialize(&preconfig)), "pre-initialisation");
    watch_memory();
    PySys_AddAuditHook(hook, NULL);
    PyConfig config;
    configure(&config);
    must(!PyStatus_Exception(Py_InitializeFromConfig(&config)), "initialisation");
    PyConfig_Clear(&config);
    shut_insides();
    load_harness();
    PyGC_Collect();
    immortalise_all();
}

__attribute__((export_name("g_alloc"))) void *g_alloc(int size) { return malloc((size_t)size); }

/* 0: the harness returned; 1: it raised. */
__attribute__((export_name("g_run"))) int g_run(char *job, int length) {
    PyObject *bytes = PyBytes_FromStringAndSize(job, length);
    must(bytes != NULL, "reading the job");
    free(job);
    active = 1;
    PyObject *result = PyObject_CallOneArg(run_function, bytes);
    active = 0;
    if (result == NULL) { /* not PyErr_Print, which would carry out a SystemExit */
        PyErr_DisplayException(PyErr_GetRaisedException());
        return 1;
    }
    return 0;
}
