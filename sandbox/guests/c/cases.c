/* One case: what a program is given, where it is, and what is told of it. A case is a list of
 * fields, each a key, an index and bytes; `languages/c.py` writes it. */
#include "runtime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((import_module("guard"), import_name("events")))
void events(const void *address, int length);

unsigned here;
int telling;
unsigned char g_pending[4];

enum { LINES = 65536, REMARKS = 16, TEXT = 1500 };
unsigned char g_lines[LINES / 8];
static const char *job;
static unsigned job_size, remarks;
static unsigned known[REMARKS];

#pragma pack(push, 1)
typedef struct { char key; uint8_t index; uint32_t size; } Field;
#pragma pack(pop)

/* --- Events ---------------------------------------------------------------------------------- */

static char out[8192];
static unsigned used;

static void put(char c) { if (used < sizeof out) out[used++] = c; }
static void put_text(const char *text) { while (*text) put(*text++); }
static void put_json(const char *text, size_t size) {
    put('"');
    for (size_t i = 0; i < size && i < TEXT; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[8];
        if (c == '"' || c == '\\') { put('\\'); put((char)c); }
        else if (c < 32 || c > 126) {
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
            put_text(escaped);
        } else put((char)c);
    }
    put('"');
}
static void begin(const char *kind) {
    used = 5;
    put_text("[\"");
    put_text(kind);
    put_text("\",");
}
static void finish(void) {
    uint32_t length = used - 5;
    out[0] = 0; /* the harness's channel, as in reactor.c */
    memcpy(out + 1, &length, 4);
    events(out, (int)used);
}
static void put_number(unsigned number) {
    char digits[12];
    snprintf(digits, sizeof digits, "%u", number);
    put_text(digits);
}

void tell_more(const char *kind, const char *api, const char *text, const char *detail) {
    if (!telling) return;
    begin("sink");
    put_json(kind, strlen(kind));
    put(',');
    put_json(api, strlen(api));
    put(',');
    put_number(here);
    put(',');
    if (readable_text(text)) put_json(text, strlen(text)); else put_text("\"\"");
    put_text(",[],{");
    if (*detail) { put_json(detail, strlen(detail)); put_text(":true"); }
    put_text("}]");
    finish();
}
void tell(const char *kind, const char *api, const char *text) { tell_more(kind, api, text, ""); }

void tell_fault(const char *kind, unsigned line, const char *detail) {
    if (!telling) return;
    begin("fault");
    put_json(kind, strlen(kind));
    put(',');
    put_number(line);
    put(',');
    put_json(detail, strlen(detail));
    put(']');
    finish();
}
void remark(const char *kind, unsigned line, const char *detail) {
    for (unsigned i = 0; i < remarks; i++) if (known[i] == line) return;
    if (remarks == REMARKS) return;
    known[remarks++] = line;
    tell_fault(kind, line, detail);
}

/* --- What the case gives ---------------------------------------------------------------------- */

const char *given(char key, unsigned index, unsigned *size) {
    for (unsigned at = 0; at + sizeof(Field) <= job_size;) {
        const Field *field = (const Field *)(job + at);
        at += sizeof *field;
        if (field->size > job_size - at) return NULL;
        if (field->key == key && field->index == index) {
            *size = field->size;
            return job + at;
        }
        at += field->size + 1; /* each is followed by a zero */
    }
    return NULL;
}
int asked(char key) {
    unsigned size;
    return given(key, 0, &size) != NULL;
}
/* Does a text hold the case's mark, so that it came from outside? */
int marked(const char *text) {
    unsigned size;
    const char *mark = given('M', 0, &size);
    return mark && size && strstr(text, mark);
}

EXPORT("__bluecode_entry") int entry_of(void) {
    unsigned size;
    const char *text = given('E', 0, &size);
    return text ? atoi(text) : -1;
}
EXPORT("__bluecode_text") char *text_of(int index) {
    unsigned size = 0;
    const char *text = given('T', (unsigned)index, &size);
    char *made = malloc(size + 1);
    if (!made) abort();
    if (text) memcpy(made, text, size);
    made[size] = 0;
    return made;
}
EXPORT("__bluecode_length") unsigned length_of(int index) {
    unsigned size = 0;
    given('T', (unsigned)index, &size);
    return size;
}
EXPORT("__bluecode_number") long long number_of(int index) {
    unsigned size;
    const char *text = given('N', (unsigned)index, &size);
    return text ? strtoll(text, NULL, 10) : 0;
}
EXPORT("__bluecode_real") double real_of(int index) {
    unsigned size;
    const char *text = given('N', (unsigned)index, &size);
    return text ? strtod(text, NULL) : 0;
}
EXPORT("__bluecode_buffer") void *buffer_of(unsigned size) {
    void *made = calloc(1, size);
    if (!made) abort();
    return made;
}
EXPORT("__bluecode_arguments") int arguments(char ***list) {
    static char *items[66];
    unsigned size;
    int count = 0;
    for (const char *text; count < 64 && (text = given('A', (unsigned)count, &size)); count++) {
        items[count] = malloc(size + 1);
        if (!items[count]) abort();
        memcpy(items[count], text, size);
        items[count][size] = 0;
    }
    items[count] = NULL;
    *list = items;
    return count;
}
/* What a function gave back, to be seen where it is a text. */
EXPORT("__bluecode_given") void gave(const char *text) {
    here = 0;
    if (text && readable_text(text)) tell("return", "return", text);
}

/* What a function gave back is of use, so that no compiler leaves out what it was made of. */
EXPORT("__bluecode_keep") void keep(long long value) { (void)value; }

/* --- Where the program is --------------------------------------------------------------------- */

EXPORT("__bluecode_at") void at(unsigned line) {
    here = line;
    if (line < LINES) g_lines[line / 8] |= (unsigned char)(1u << (line & 7));
}
EXPORT("__bluecode_enter") unsigned enter(void) { return here; }
EXPORT("__bluecode_leave") void leave(const unsigned *line) { here = *line; }

/* --- What the host calls ---------------------------------------------------------------------- */

void __wasm_call_ctors(void);
EXPORT("_initialize") void initialize(void) { __wasm_call_ctors(); }
EXPORT("g_init") void g_init(void) {}
EXPORT("g_alloc") void *g_alloc(int size) { return malloc((size_t)size); }
void world_begins(void);
EXPORT("g_case") void g_case(const char *fields, int size) {
    job = fields;
    job_size = (unsigned)size;
    poison(SHADOW_END, STACK_LOW - SHADOW_END, 0xfb);
    world_begins();
    telling = 1;
}
EXPORT("g_done") void g_done(void) { fflush(NULL); }
