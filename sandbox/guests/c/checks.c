/* The checks that the compiler puts into a program, answered: AddressSanitizer's and
 * UndefinedBehaviorSanitizer's, and an allocator that never gives memory out twice while it can.
 * The first defect ends a case; overflows of integers are told, and the case goes on. */
#include "runtime.h"
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { LEFT = 0xf1, MIDDLE, RIGHT, AFTER_RETURN = 0xf5, OUT_OF_SCOPE = 0xf8, GLOBAL = 0xf9,
       HEAP = 0xfa, EXHAUSTED = 0xfb, FREED = 0xfd };

static volatile uint8_t *shadow_of(uint32_t at) { return (uint8_t *)((at >> 3) + SHADOW); }

void poison(uint32_t from, uint32_t size, int value) {
    if (from + size > MOST) return;
    memset((void *)shadow_of(from), value, size >> 3);
}

static void open_up(uint32_t from, uint32_t size) {
    poison(from, size, 0);
    if (size & 7) *shadow_of(from + size) = size & 7;
}

void fault(const char *kind, const char *detail) {
    tell_fault(kind, here, detail);
    __builtin_trap();
}

/* --- Addresses ------------------------------------------------------------------------------- */

static const char *place_of(uint8_t value) {
    switch (value) {
    case HEAP: return "heap";
    case FREED: return "freed";
    case GLOBAL: return "global";
    case OUT_OF_SCOPE: case AFTER_RETURN: return "scope";
    case EXHAUSTED: return "exhausted";
    default: return "stack";
    }
}

static void complain(const char *place, int writes, uint32_t at, uint32_t size) {
    char kind[32], detail[64];
    snprintf(kind, sizeof kind, "%s-%s", place, writes ? "write" : "read");
    snprintf(detail, sizeof detail, "%u bytes", size);
    if (at < NULL_END) snprintf(detail, sizeof detail, "%u bytes at %u", size, at);
    fault(kind, detail);
}

/* How many bytes from an address on may be used, at most so many. */
static uint32_t room(uint32_t at, uint32_t size) {
    for (uint32_t x = at; x < at + size; x = (x | 7) + 1) {
        int8_t value = (int8_t)*shadow_of(x);
        if (value == 0) continue;
        uint32_t end = (x & ~7u) + (value > 0 ? (uint32_t)value : 0);
        if (at + size <= end) break;
        return end > at ? end - at : 0;
    }
    return size;
}

static void check(uint32_t at, uint32_t size, int writes) {
    if (size == 0) return;
    if (at < NULL_END) complain("null", writes, at, size);
    uint32_t end = __builtin_wasm_memory_size(0) << 16;
    if (at >= end || size > end - at) {
        /* A range that begins well and is absurdly long is told by where it begins. */
        uint32_t fine = at < end && end <= MOST ? room(at, end - at) : 0;
        uint8_t value = fine && at + fine < end ? *shadow_of(at + fine) : 0;
        if (value && value < 8) value = *shadow_of(at + fine + 8);
        complain(value ? place_of(value) : "wild", writes, at, size);
    }
    if (at >= SHADOW && at < STACK_LOW) complain(at >= SHADOW_END ? "exhausted" : "wild", writes, at, size);
    if (at < SHADOW || end > MOST) return;
    uint32_t fine = room(at, size);
    if (fine < size) {
        uint8_t value = *shadow_of(at + fine);
        if (value < 8) value = *shadow_of(at + fine + 8);
        complain(place_of(value), writes, at + fine, size - fine);
    }
}

void check_read(const void *from, size_t size) { check((uint32_t)from, size, 0); }
void check_write(const void *to, size_t size) { check((uint32_t)to, size, 1); }

/* The length of a text, every byte of which may be read. */
size_t check_text(const char *text) {
    size_t length = 0;
    do check((uint32_t)text + length, 1, 0);
    while (text[length++]);
    return length - 1;
}

int readable_text(const char *text) {
    uint32_t at = (uint32_t)text, end = __builtin_wasm_memory_size(0) << 16;
    if (at < NULL_END || (at >= SHADOW && at < STACK_LOW)) return 0;
    for (; at < end; at++) {
        if (at >= STACK_LOW && at < MOST && room(at, 1) == 0) return 0;
        if (*(char *)at == 0) return 1;
    }
    return 0;
}

#define SIZED(n) \
    EXPORT("__asan_load" #n) void asan_load##n(uint32_t at) { check(at, n, 0); } \
    EXPORT("__asan_store" #n) void asan_store##n(uint32_t at) { check(at, n, 1); }
SIZED(1) SIZED(2) SIZED(4) SIZED(8) SIZED(16)
EXPORT("__asan_loadN") void asan_load(uint32_t at, uint32_t size) { check(at, size, 0); }
EXPORT("__asan_storeN") void asan_store(uint32_t at, uint32_t size) { check(at, size, 1); }

EXPORT("__asan_init") void asan_init(void) {}
EXPORT("__asan_version_mismatch_check_v8") void asan_version(void) {}
EXPORT("__asan_handle_no_return") void asan_no_return(void) {}
EXPORT("__asan_before_dynamic_init") void asan_before(void *m) { (void)m; }
EXPORT("__asan_after_dynamic_init") void asan_after(void) {}

typedef struct { uint32_t start, size, whole, name, module, dynamic, place, odr; } Variable;

EXPORT("__asan_register_globals") void asan_globals(Variable *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        poison(list[i].start, list[i].whole, GLOBAL);
        open_up(list[i].start, list[i].size);
    }
}
EXPORT("__asan_unregister_globals") void asan_no_globals(void *list, uint32_t n) { (void)list, (void)n; }

#define SHADOWED(x) \
    EXPORT("__asan_set_shadow_" #x) void asan_set_##x(uint32_t at, uint32_t size) { \
        if (at >= SHADOW && at + size <= SHADOW_END) memset((void *)at, 0x##x, size); \
        else fault("exhausted-write", "stack"); \
    }
SHADOWED(00) SHADOWED(01) SHADOWED(02) SHADOWED(03) SHADOWED(04) SHADOWED(05) SHADOWED(06)
SHADOWED(07) SHADOWED(f1) SHADOWED(f2) SHADOWED(f3) SHADOWED(f5) SHADOWED(f8)
EXPORT("__asan_poison_stack_memory") void asan_scope_ends(uint32_t at, uint32_t size) {
    poison(at, (size + 7) & ~7u, OUT_OF_SCOPE);
}
EXPORT("__asan_unpoison_stack_memory") void asan_scope_begins(uint32_t at, uint32_t size) {
    open_up(at, size);
}
EXPORT("__asan_alloca_poison") void asan_alloca(uint32_t at, uint32_t size) {
    uint32_t padded = (size + 31) & ~31u;
    if (at < STACK_LOW + 32) fault("exhausted-write", "stack");
    poison(at - 32, 32, LEFT);
    open_up(at, size);
    poison(at + ((size + 7) & ~7u), padded - ((size + 7) & ~7u) + 32, RIGHT);
}
EXPORT("__asan_allocas_unpoison") void asan_allocas_end(uint32_t top, uint32_t bottom) {
    if (top && top <= bottom) poison(top, bottom - top, 0);
}
EXPORT("__sanitizer_annotate_contiguous_container")
void annotate(const void *a, const void *b, const void *c, const void *d) { (void)a, (void)b, (void)c, (void)d; }
EXPORT("__sanitizer_annotate_double_ended_contiguous_container")
void annotate_both(const void *a, const void *b, const void *c, const void *d, const void *e, const void *f) {
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
}
EXPORT("__asan_option_detect_stack_use_after_return") int asan_detect(void) { return 0; }

/* --- Memory that is given out ---------------------------------------------------------------- */

typedef struct Block { uint32_t mark, size, state; struct Block *next; } Block;
enum { MARK = 0xB10C4EAD, LIVE = 1, DEAD = 2, EDGE = 16, CLASSES = 32 };

static uint32_t top = STACK_HIGH, end_of_room = EARLY_END;
static Block *oldest[CLASSES], *newest[CLASSES];
static unsigned allocations;

static int class_of(uint32_t size) { return 32 - __builtin_clz(size | 1) - 1; }

void *memory_grown(uint32_t need) {
    uint32_t pages = (need + 0xffff) >> 16, wanted = pages < 16 ? 16 : pages;
    uint32_t before = __builtin_wasm_memory_grow(0, wanted);
    if (before == ~0u && wanted > pages) before = __builtin_wasm_memory_grow(0, wanted = pages);
    if (before == ~0u || (before + wanted) << 16 > MOST || before + wanted >= 65536) return NULL;
    if (before << 16 != end_of_room) top = before << 16;
    end_of_room = (before + wanted) << 16;
    poison(before << 16, wanted << 16, HEAP);
    return (void *)top;
}

static Block *fresh(uint32_t size) {
    uint32_t need = EDGE + ((size + 7) & ~7u) + EDGE;
    need = (need + 15) & ~15u;
    if (size > MOST || (need > end_of_room - top && !memory_grown(need))) return NULL;
    Block *block = (Block *)top;
    poison(top, need, HEAP);
    top += need;
    return block;
}

/* The block that was freed first, of those of a class: only when there is no other memory. */
static Block *reused(uint32_t size) {
    int class = class_of(size);
    for (Block *last = NULL, *block = oldest[class]; block; last = block, block = block->next) {
        if (block->size < size || block->size > size + 64) continue;
        if (last) last->next = block->next; else oldest[class] = block->next;
        if (newest[class] == block) newest[class] = last;
        poison((uint32_t)(block + 1), (block->size + 7) & ~7u, HEAP);
        return block;
    }
    return NULL;
}

static int refused(void) {
    if (!telling) return 0;
    allocations++;
    unsigned size;
    const char *which = given('F', 0, &size);
    return which && allocations >= (unsigned)atoi(which);
}

static void *take(size_t size) {
    Block *block = fresh(size);
    if (!block) block = reused(size);
    if (!block) { errno = ENOMEM; return NULL; }
    *block = (Block){MARK, size, LIVE, NULL};
    open_up((uint32_t)(block + 1), size);
    return block + 1;
}

static Block *block_of(void *at, const char *what) {
    Block *block = (Block *)at - 1;
    uint32_t where = (uint32_t)block, end = __builtin_wasm_memory_size(0) << 16;
    int sound = !(where & 7) && where >= STACK_HIGH && where < end - sizeof *block;
    if (!sound || block->mark != MARK) fault("bad-free", what);
    if (block->state == DEAD) fault("double-free", what);
    return block;
}

static void give_back(void *at, const char *what) {
    Block *block = block_of(at, what);
    int class = class_of(block->size);
    block->state = DEAD;
    block->next = NULL;
    poison((uint32_t)at, block->size < 8 ? 8 : (block->size + 7) & ~7u, FREED);
    if (newest[class]) newest[class]->next = block; else oldest[class] = block;
    newest[class] = block;
}

void *malloc(size_t size) { return take(size); }
void free(void *at) { if (at) give_back(at, "free"); }
void *calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *at = take(count * size);
    return at ? memset(at, 0, count * size) : NULL;
}
void *realloc(void *at, size_t size) {
    if (!at) return take(size);
    Block *old = block_of(at, "realloc");
    void *made = take(size);
    if (!made) return NULL;
    memcpy(made, at, old->size < size ? old->size : size);
    give_back(at, "realloc");
    return made;
}
void *aligned_alloc(size_t alignment, size_t size) {
    if (alignment <= 16) return take(size);
    char *at = take(size + alignment);
    if (!at) return NULL;
    char *moved = (char *)(((uint32_t)at + alignment - 1) & ~(alignment - 1));
    if (moved != at) ((Block *)moved)[-1] = (Block){MARK, size, LIVE, NULL};
    return moved;
}
void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
int posix_memalign(void **at, size_t alignment, size_t size) {
    *at = aligned_alloc(alignment, size);
    return *at ? 0 : ENOMEM;
}
size_t malloc_usable_size(void *at) { return at ? block_of(at, "malloc_usable_size")->size : 0; }

GUARD(malloc) void *guard_malloc(size_t size) { return refused() ? NULL : malloc(size); }
GUARD(calloc) void *guard_calloc(size_t n, size_t size) { return refused() ? NULL : calloc(n, size); }
GUARD(realloc) void *guard_realloc(void *at, size_t size) { return refused() ? NULL : realloc(at, size); }
GUARD(reallocarray) void *guard_reallocarray(void *at, size_t n, size_t size) {
    if (size && n > SIZE_MAX / size) { errno = ENOMEM; return NULL; }
    return guard_realloc(at, n * size);
}

/* --- Undefined behaviour ---------------------------------------------------------------------- */

typedef struct { const char *file; uint32_t line, column; } Place;

static void undefined(const Place *place, const char *kind) {
    if (place->line && place->file && !strcmp(place->file, "program")) here = place->line;
    fault(kind, "");
}
static void wrapped(const Place *place, const char *kind) {
    int ours = place->file && !strcmp(place->file, "program");
    if (ours) remark(kind, place->line, "");
}
static int is_signed(const uint16_t *type) { return type[1] & 1; }

typedef struct { Place place; const uint16_t *type; uint8_t alignment, use; } Typed;
#define OVERFLOWS(name) \
    EXPORT("__ubsan_handle_" #name "_overflow") void ubsan_##name(Typed *at, uint32_t a, uint32_t b) { \
        (void)a, (void)b; \
        wrapped(&at->place, is_signed(at->type) ? "signed-overflow" : "unsigned-overflow"); \
    }
OVERFLOWS(add) OVERFLOWS(sub) OVERFLOWS(mul)
EXPORT("__ubsan_handle_negate_overflow") void ubsan_negate(Typed *at, uint32_t a) {
    (void)a;
    wrapped(&at->place, is_signed(at->type) ? "signed-overflow" : "unsigned-overflow");
}
EXPORT("__ubsan_handle_divrem_overflow") void ubsan_divide(Typed *at, uint32_t a, uint32_t b) {
    (void)a, (void)b;
    undefined(&at->place, "division");
}
#define UNDEFINED(name, kind, ...) \
    EXPORT("__ubsan_handle_" #name) void ubsan_##name(Place *at, ##__VA_ARGS__) { undefined(at, kind); }
UNDEFINED(out_of_bounds, "bounds", uint32_t a __attribute__((unused)))
UNDEFINED(vla_bound_not_positive, "size", uint32_t a __attribute__((unused)))
UNDEFINED(builtin_unreachable, "unreachable")
UNDEFINED(missing_return, "no-return")
EXPORT("__ubsan_handle_local_out_of_bounds") void ubsan_local(void) { fault("bounds", ""); }
EXPORT("__ubsan_handle_shift_out_of_bounds") void ubsan_shift(Place *at, uint32_t a, uint32_t b) {
    (void)a, (void)b;
    wrapped(at, "shift");
}
EXPORT("__ubsan_handle_float_cast_overflow") void ubsan_cast(Place *at, uint32_t a) {
    (void)a;
    wrapped(at, "cast-overflow");
}
EXPORT("__ubsan_handle_nonnull_arg") void ubsan_nonnull(Place *at) { undefined(at, "null-read"); }
EXPORT("__ubsan_handle_pointer_overflow") void ubsan_pointer(Place *at, uint32_t a, uint32_t b) {
    (void)b;
    if (a) undefined(at, "pointer-overflow");
}
EXPORT("__ubsan_handle_type_mismatch_v1") void ubsan_type(Typed *at, uint32_t address) {
    if (address == 0) undefined(&at->place, at->use == 1 ? "null-write" : "null-read");
}
