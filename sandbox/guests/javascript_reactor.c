/* The JavaScript guest: QuickJS, initialised once, snapshotted, and then given one job.
 *
 * The exports and the events are those of reactor.c: g_init before the snapshot; g_alloc, g_run and
 * g_pending in each fresh copy. Events of channel 0 are told by the harness through `native.emit`,
 * which only its closures hold: JavaScript has no way into a closure. Channel 1 is told from here:
 * the text of code that the snippet makes while it runs, which it cannot suppress.
 */
#include <quickjs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FROM_HARNESS = 0, FROM_ENGINE = 1, REFUSED_MEMORY = 2 };

#define SNIPPET "<snippet>" /* what the harness calls the code that it was given */
#define EVENT_HEAD 5
#define PENDING_BYTES 32768
#define STRING_BYTES 4096
#define ITEMS 64
#define STACK_BYTES (640 * 1024) /* of the guest's stack; less than WebAssembly's own holds */
#define JOBS 2000                /* promise reactions that one call may cause */

__attribute__((import_module("guard"), import_name("events"))) void
guard_events(const char *events, uint32_t length);

struct {
    uint32_t length;
    char events[PENDING_BYTES];
} g_pending;

static JSRuntime *runtime;
static JSContext *context;
static JSValue run_function;
static int active;      /* a job is running */
static int64_t patience; /* interrupts until the call that runs is ended */

/* --- Events ---------------------------------------------------------------------------------- */

static void deliver(void) {
    guard_events(g_pending.events, g_pending.length);
    g_pending.length = 0;
}

static void send(int channel, const char *text, uint32_t length) {
    if (EVENT_HEAD + length > PENDING_BYTES) length = 0; /* `Text` keeps below it */
    if (EVENT_HEAD + length > PENDING_BYTES - g_pending.length) deliver();
    char *place = g_pending.events + g_pending.length;
    place[0] = (char)channel;
    memcpy(place + 1, &length, sizeof length);
    if (length) memcpy(place + EVENT_HEAD, text, length);
    g_pending.length += EVENT_HEAD + length;
}

typedef struct {
    char bytes[24 * 1024];
    uint32_t length;
} Text;

static void put(Text *text, const char *bytes, size_t length) {
    if (length > sizeof text->bytes - text->length) return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += (uint32_t)length;
}

static void put_letter(Text *text, unsigned char c) {
    char escaped[8];
    if (c == '"' || c == '\\') put(text, (char[]){'\\', (char)c}, 2);
    else if (c < 0x20 || c == 0x7f)
        put(text, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
    else put(text, (char[]){(char)c}, 1);
}

static void put_string(Text *text, const char *bytes, size_t length) {
    if (length > STRING_BYTES) { /* cut between characters, not inside one */
        length = STRING_BYTES;
        while (length > 0 && ((unsigned char)bytes[length] & 0xC0) == 0x80) length--;
    }
    put(text, "\"", 1);
    for (size_t i = 0; i < length && text->length < sizeof text->bytes - 64; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == 0xED && i + 2 < length && ((unsigned char)bytes[i + 1] & 0x20)) {
            put(text, "\\ufffd", 6); /* half of a pair, which JSON's UTF-8 cannot hold */
            i += 2;
        } else put_letter(text, c);
    }
    put(text, "\"", 1);
}

static void put_value(Text *text, JSValueConst value, int depth);

static void put_items(Text *text, JSValueConst array, int depth) {
    int64_t length = 0;
    JS_GetLength(context, array, &length);
    put(text, "[", 1);
    for (int64_t i = 0; i < length && i < ITEMS; i++) {
        JSValue item = JS_GetPropertyUint32(context, array, (uint32_t)i);
        if (i) put(text, ",", 1);
        put_value(text, item, depth - 1);
        JS_FreeValue(context, item);
    }
    put(text, "]", 1);
}

static void put_fields(Text *text, JSValueConst object, int depth) {
    JSPropertyEnum *names;
    uint32_t count = 0, told = 0;
    put(text, "{", 1);
    if (JS_GetOwnPropertyNames(context, &names, &count, object,
                               JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) == 0) {
        for (uint32_t i = 0; i < count && told < ITEMS; i++) {
            JSValue item = JS_GetProperty(context, object, names[i].atom);
            const char *name = JS_AtomToCString(context, names[i].atom);
            if (name != NULL) {
                if (told++) put(text, ",", 1);
                put_string(text, name, strlen(name));
                put(text, ":", 1);
                put_value(text, item, depth - 1);
                JS_FreeCString(context, name);
            }
            JS_FreeValue(context, item);
        }
        JS_FreePropertyEnum(context, names, count);
    }
    put(text, "}", 1);
}

/* Only primitive values, and the harness's own arrays and records: no guest code runs here. */
static void put_value(Text *text, JSValueConst value, int depth) {
    char number[40];
    if (JS_IsBool(value)) {
        put(text, JS_VALUE_GET_BOOL(value) ? "true" : "false", JS_VALUE_GET_BOOL(value) ? 4 : 5);
    } else if (JS_VALUE_GET_TAG(value) == JS_TAG_INT) {
        put(text, number, (size_t)snprintf(number, sizeof number, "%d", JS_VALUE_GET_INT(value)));
    } else if (JS_IsString(value)) {
        size_t length;
        const char *bytes = JS_ToCStringLen(context, &length, value);
        if (bytes == NULL) { put(text, "\"\"", 2); return; }
        put_string(text, bytes, length);
        JS_FreeCString(context, bytes);
    } else if (depth > 0 && JS_IsArray(value) && !JS_IsProxy(value)) {
        put_items(text, value, depth);
    } else if (depth > 0 && JS_IsObject(value) && !JS_IsProxy(value)) {
        put_fields(text, value, depth);
    } else put(text, "null", 4);
}

static JSValue emit(JSContext *c, JSValueConst self, int count, JSValueConst *values) {
    static Text text;
    (void)c, (void)self;
    text.length = 0;
    for (int i = 0; i < count; i++) {
        put(&text, i ? "," : "[", 1);
        put_value(&text, values[i], 2);
    }
    put(&text, "]", 1);
    if (active) send(FROM_HARNESS, text.bytes, text.length);
    return JS_UNDEFINED;
}

/* --- What the harness may do and guest code may not -------------------------------------------- */

static void tell_compiled(const char *code, size_t length, const char *name) {
    static Text text;
    text.length = 0;
    put(&text, "[\"compile\",", 11);
    put_string(&text, code, length);
    put(&text, ",", 1);
    put_string(&text, name, strlen(name));
    put(&text, "]", 1);
    send(FROM_ENGINE, text.bytes, text.length);
}

/* evaluate(text, name): the value of a script in the global scope. */
static JSValue evaluate(JSContext *c, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    if (count < 2) return JS_ThrowTypeError(c, "two arguments, please");
    size_t length;
    const char *code = JS_ToCStringLen(c, &length, values[0]);
    const char *name = JS_ToCString(c, values[1]);
    JSValue result = JS_EXCEPTION;
    if (code != NULL && name != NULL) {
        if (active && strcmp(name, SNIPPET) != 0) tell_compiled(code, length, name);
        result = JS_Eval(c, code, length, name, JS_EVAL_TYPE_GLOBAL);
    }
    if (code != NULL) JS_FreeCString(c, code);
    if (name != NULL) JS_FreeCString(c, name);
    return result;
}

/* attempt(patience, function, self, ...arguments): [ended, value]; ended is "", "Exhausted" or
 * "thrown". The one way to get rid of a call that never ends. */
static JSValue attempt(JSContext *c, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    if (count < 3) return JS_ThrowTypeError(c, "three arguments, please");
    int64_t before = patience;
    if (JS_ToInt64(c, &patience, values[0])) return JS_EXCEPTION;
    JSValue value = JS_Call(c, values[1], values[2], count - 3, values + 3);
    const char *ended = "";
    if (JS_IsException(value)) {
        ended = patience <= 0 ? "Exhausted" : "thrown";
        value = JS_GetException(c);
        JS_ClearUncatchableError(c, value);
    }
    patience = before;
    JSValue pair = JS_NewArray(c);
    JS_SetPropertyUint32(c, pair, 0, JS_NewString(c, ended));
    JS_SetPropertyUint32(c, pair, 1, value);
    return pair;
}

/* drain(patience): promise reactions until none is left; how many there were. */
static JSValue drain(JSContext *c, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    JSContext *where;
    int done = 0;
    int64_t before = patience;
    if (count < 1 || JS_ToInt64(c, &patience, values[0])) return JS_EXCEPTION;
    while (done < JOBS && patience > 0) {
        int state = JS_ExecutePendingJob(runtime, &where);
        if (state == 0) break;
        if (state < 0) JS_FreeValue(c, JS_GetException(c));
        done++;
    }
    patience = before;
    return JS_NewInt32(c, done);
}

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    char *text = NULL;
    *length = 0;
    for (size_t room = 65536, got = 1; got > 0; room *= 2) {
        text = realloc(text, room + 1);
        if (text == NULL) abort();
        got = fread(text + *length, 1, room - *length, file);
        *length += got;
    }
    text[*length] = 0;
    fclose(file);
    return text;
}

/* load(path): the value of a script of the harness. Works during initialisation only. */
static JSValue load(JSContext *c, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    const char *path = count > 0 ? JS_ToCString(c, values[0]) : NULL;
    if (path == NULL) return JS_EXCEPTION;
    size_t length;
    char *text = active ? NULL : read_file(path, &length);
    JSValue result = text ? JS_Eval(c, text, length, path, JS_EVAL_TYPE_GLOBAL)
                          : JS_ThrowReferenceError(c, "no file `%s`", path);
    free(text);
    JS_FreeCString(c, path);
    return result;
}

static int interrupted(JSRuntime *r, void *unused) {
    (void)r, (void)unused;
    return active && --patience <= 0;
}

/* --- Memory ---------------------------------------------------------------------------------- */

static void *or_end(void *memory, size_t size) { /* a refusal ends the run: see Limits.memory */
    if (memory == NULL && size > 0 && active) {
        send(REFUSED_MEMORY, NULL, 0);
        __builtin_trap();
    }
    return memory;
}

static void *take(void *o, size_t size) { (void)o; return or_end(malloc(size), size); }
static void *take_zeroed(void *o, size_t n, size_t m) { (void)o; return or_end(calloc(n, m), n); }
static void give(void *o, void *memory) { (void)o; free(memory); }
static void *resize(void *o, void *memory, size_t size) {
    (void)o;
    return or_end(realloc(memory, size), size);
}

/* --- Exports --------------------------------------------------------------------------------- */

static void must(int fine, const char *what) {
    if (fine) return;
    fprintf(stderr, "guest: %s failed\n", what);
    if (context != NULL && JS_HasException(context)) {
        JSValue error = JS_GetException(context);
        JSValue stack = JS_GetPropertyStr(context, error, "stack");
        const char *said = JS_ToCString(context, error), *where = JS_ToCString(context, stack);
        fprintf(stderr, "%s\n%s\n", said ? said : "?", where ? where : "");
    }
    abort();
}

static void add(JSValue object, const char *name, JSCFunction *function, int length) {
    JSValue made = JS_NewCFunction(context, function, name, length);
    must(JS_SetPropertyStr(context, object, name, made) >= 0, name);
}

__attribute__((export_name("g_init"))) void g_init(void) {
    static const JSMallocFunctions watched = {take_zeroed, take, give, resize, NULL};
    runtime = JS_NewRuntime2(&watched, NULL);
    must(runtime != NULL, "making a runtime");
    JS_SetMaxStackSize(runtime, STACK_BYTES);
    JS_SetInterruptHandler(runtime, interrupted, NULL);
    context = JS_NewContext(runtime);
    must(context != NULL, "making a context");
    JSValue native = JS_NewObject(context);
    add(native, "emit", emit, 1);
    add(native, "evaluate", evaluate, 2);
    add(native, "attempt", attempt, 3);
    add(native, "drain", drain, 1);
    add(native, "load", load, 1);
    size_t length = 0;
    char *text = read_file("/guest/harness.js", &length);
    must(text != NULL, "reading the harness");
    JSValue install = JS_Eval(context, text, length, "/guest/harness.js", JS_EVAL_TYPE_GLOBAL);
    free(text);
    must(!JS_IsException(install), "loading the harness");
    run_function = JS_Call(context, install, JS_UNDEFINED, 1, (JSValueConst *)&native);
    must(!JS_IsException(run_function), "the harness's install");
    JS_FreeValue(context, install);
    JS_FreeValue(context, native);
    JS_RunGC(runtime);
}

__attribute__((export_name("g_alloc"))) void *g_alloc(int size) { return malloc((size_t)size); }

/* 0: the harness returned; 1: it threw. */
__attribute__((export_name("g_run"))) int g_run(char *job, int length) {
    active = 1;
    patience = INT64_MAX;
    JSValue text = JS_NewStringLen(context, job, (size_t)length);
    JSValue result = JS_Call(context, run_function, JS_UNDEFINED, 1, (JSValueConst *)&text);
    active = 0;
    return JS_IsException(result);
}
