/* The functions of <string.h>, <stdio.h> and <wchar.h> that read or write what they are pointed at:
 * checked, then left to the library. Formats that come from outside are told and not obeyed. */
#include "runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* --- Blocks and texts ------------------------------------------------------------------------- */

#define TWO_BLOCKS(a, b, n) (check_read(b, n), check_write(a, n))

EXPORT("__asan_memcpy") void *asan_memcpy(void *a, const void *b, size_t n) {
    TWO_BLOCKS(a, b, n);
    return memmove(a, b, n);
}
EXPORT("__asan_memmove") void *asan_memmove(void *a, const void *b, size_t n) {
    return asan_memcpy(a, b, n);
}
EXPORT("__asan_memset") void *asan_memset(void *a, int c, size_t n) {
    check_write(a, n);
    return memset(a, c, n);
}
GUARD(memcpy) void *g_memcpy(void *a, const void *b, size_t n) { return asan_memcpy(a, b, n); }
GUARD(memmove) void *g_memmove(void *a, const void *b, size_t n) { return asan_memcpy(a, b, n); }
GUARD(mempcpy) void *g_mempcpy(void *a, const void *b, size_t n) { return (char *)asan_memcpy(a, b, n) + n; }
GUARD(bcopy) void g_bcopy(const void *a, void *b, size_t n) { asan_memcpy(b, a, n); }
GUARD(memset) void *g_memset(void *a, int c, size_t n) { return asan_memset(a, c, n); }
GUARD(bzero) void g_bzero(void *a, size_t n) { asan_memset(a, 0, n); }
GUARD(explicit_bzero) void g_explicit(void *a, size_t n) { asan_memset(a, 0, n); }
GUARD(memset_s) int g_memset_s(void *a, size_t most, int c, size_t n) {
    asan_memset(a, c, n < most ? n : most);
    return 0;
}
GUARD(memcmp) int g_memcmp(const void *a, const void *b, size_t n) {
    check_read(a, n), check_read(b, n);
    return memcmp(a, b, n);
}
GUARD(bcmp) int g_bcmp(const void *a, const void *b, size_t n) { return g_memcmp(a, b, n); }
GUARD(memchr) void *g_memchr(const void *a, int c, size_t n) {
    void *found = n && (uint32_t)a >= NULL_END ? memchr(a, c, n) : NULL;
    check_read(a, found ? (size_t)((char *)found - (char *)a) + 1 : n);
    return found;
}

/* The length of a text of at most so many bytes, all of which may be read. */
static size_t check_part(const char *text, size_t most) {
    size_t length = 0;
    while (length < most) {
        check_read(text + length, 1);
        if (!text[length]) break;
        length++;
    }
    return length;
}

GUARD(strlen) size_t g_strlen(const char *s) { return check_text(s); }
GUARD(strnlen) size_t g_strnlen(const char *s, size_t n) { return check_part(s, n); }
GUARD(strcpy) char *g_strcpy(char *a, const char *b) {
    size_t n = check_text(b) + 1;
    check_write(a, n);
    return memmove(a, b, n);
}
GUARD(stpcpy) char *g_stpcpy(char *a, const char *b) { return g_strcpy(a, b) + strlen(a); }
GUARD(strncpy) char *g_strncpy(char *a, const char *b, size_t n) {
    size_t length = check_part(b, n);
    check_write(a, n);
    memmove(a, b, length);
    memset(a + length, 0, n - length);
    return a;
}
GUARD(strcat) char *g_strcat(char *a, const char *b) {
    g_strcpy(a + check_text(a), b);
    return a;
}
GUARD(strncat) char *g_strncat(char *a, const char *b, size_t n) {
    char *end = a + check_text(a);
    size_t length = check_part(b, n);
    check_write(end, length + 1);
    memmove(end, b, length);
    end[length] = 0;
    return a;
}
GUARD(strlcpy) size_t g_strlcpy(char *a, const char *b, size_t n) {
    size_t length = check_text(b), kept = length < n ? length : n - 1;
    if (n) {
        check_write(a, kept + 1);
        memmove(a, b, kept);
        a[kept] = 0;
    }
    return length;
}
GUARD(strlcat) size_t g_strlcat(char *a, const char *b, size_t n) {
    size_t before = check_part(a, n);
    return before == n ? n + check_text(b) : before + g_strlcpy(a + before, b, n - before);
}
GUARD(strdup) char *g_strdup(const char *s) {
    char *guard_malloc(size_t);
    size_t n = check_text(s) + 1;
    char *made = guard_malloc(n);
    return made ? memcpy(made, s, n) : NULL;
}
GUARD(strndup) char *g_strndup(const char *s, size_t most) {
    char *guard_malloc(size_t);
    size_t n = check_part(s, most);
    char *made = guard_malloc(n + 1);
    if (!made) return NULL;
    made[n] = 0;
    return memcpy(made, s, n);
}
GUARD(strcmp) int g_strcmp(const char *a, const char *b) { return check_text(a), check_text(b), strcmp(a, b); }
GUARD(strcasecmp) int g_strcasecmp(const char *a, const char *b) {
    int strcasecmp(const char *, const char *);
    return check_text(a), check_text(b), strcasecmp(a, b);
}
GUARD(strncmp) int g_strncmp(const char *a, const char *b, size_t n) {
    return check_part(a, n), check_part(b, n), strncmp(a, b, n);
}
GUARD(strncasecmp) int g_strncasecmp(const char *a, const char *b, size_t n) {
    int strncasecmp(const char *, const char *, size_t);
    return check_part(a, n), check_part(b, n), strncasecmp(a, b, n);
}
GUARD(strchr) char *g_strchr(const char *s, int c) { return check_text(s), strchr(s, c); }
GUARD(strrchr) char *g_strrchr(const char *s, int c) { return check_text(s), strrchr(s, c); }
GUARD(strchrnul) char *g_strchrnul(const char *s, int c) {
    char *found = g_strchr(s, c);
    return found ? found : (char *)s + strlen(s);
}
GUARD(strstr) char *g_strstr(const char *a, const char *b) { return check_text(a), check_text(b), strstr(a, b); }
GUARD(strcasestr) char *g_strcasestr(const char *a, const char *b) {
    char *strcasestr(const char *, const char *);
    return check_text(a), check_text(b), strcasestr(a, b);
}
GUARD(strspn) size_t g_strspn(const char *a, const char *b) { return check_text(a), check_text(b), strspn(a, b); }
GUARD(strcspn) size_t g_strcspn(const char *a, const char *b) { return check_text(a), check_text(b), strcspn(a, b); }
GUARD(strpbrk) char *g_strpbrk(const char *a, const char *b) { return check_text(a), check_text(b), strpbrk(a, b); }
GUARD(strtok) char *g_strtok(char *a, const char *b) {
    if (a) check_text(a);
    return check_text(b), strtok(a, b);
}
GUARD(strtok_r) char *g_strtok_r(char *a, const char *b, char **place) {
    char *strtok_r(char *, const char *, char **);
    if (a) check_text(a);
    return check_text(b), strtok_r(a, b, place);
}
#define NUMBER(type, name) GUARD(name) type g_##name(const char *s) { return check_text(s), name(s); }
NUMBER(int, atoi) NUMBER(long, atol) NUMBER(long long, atoll) NUMBER(double, atof)
#define NUMBERS(type, name) \
    GUARD(name) type g_##name(const char *s, char **end, int base) { return check_text(s), name(s, end, base); }
NUMBERS(long, strtol) NUMBERS(unsigned long, strtoul) NUMBERS(long long, strtoll)
NUMBERS(unsigned long long, strtoull)
GUARD(strtod) double g_strtod(const char *s, char **end) { return check_text(s), strtod(s, end); }

GUARD(wcslen) size_t g_wcslen(const wchar_t *s) {
    size_t n = 0;
    do check_read(s + n, sizeof *s); while (s[n++]);
    return n - 1;
}
GUARD(wcscpy) wchar_t *g_wcscpy(wchar_t *a, const wchar_t *b) {
    size_t n = (g_wcslen(b) + 1) * sizeof *a;
    check_write(a, n);
    return memmove(a, b, n);
}
GUARD(wcsncpy) wchar_t *g_wcsncpy(wchar_t *a, const wchar_t *b, size_t n) {
    check_write(a, n * sizeof *a);
    return wcsncpy(a, b, n);
}
GUARD(wcscat) wchar_t *g_wcscat(wchar_t *a, const wchar_t *b) {
    g_wcscpy(a + g_wcslen(a), b);
    return a;
}

/* --- Formats ---------------------------------------------------------------------------------- */

static const char *past_flags(const char *at, va_list *list) {
    for (; *at && strchr("-+ #0'.123456789*", *at); at++)
        if (*at == '*') va_arg(*list, int);
    return at;
}

/* Look at a format and at what it points to. False for one that must not be obeyed. */
static int obeyed(const char *api, const char *format, va_list given_list) {
    check_text(format);
    int foreign = marked(format);
    if (foreign) tell("format", api, format);
    va_list list;
    va_copy(list, given_list);
    for (const char *at = format; (at = strchr(at, '%'));) {
        if (*++at == '%') { at++; continue; }
        if (foreign) { va_end(list); return 0; }
        const char *flags = at;
        at = past_flags(at, &list);
        int exact = -1;
        for (const char *dot = flags; dot < at; dot++)
            if (*dot == '.') exact = dot[1] == '*' ? 0 : atoi(dot + 1);
        int longs = 0, wide = 0;
        for (; *at && strchr("hlLqjzt", *at); at++) {
            longs += *at == 'l' || *at == 'q' || *at == 'L';
            wide |= *at == 'j' || *at == 'q' || *at == 'L';
        }
        if (!*at) break;
        if (strchr("diouxXc", *at)) {
            if (longs > 1 || wide) (void)va_arg(list, long long); else (void)va_arg(list, int);
        } else if (strchr("aAeEfFgG", *at)) {
            if (wide) (void)va_arg(list, long double); else (void)va_arg(list, double);
        } else if (*at == 's') {
            const char *text = va_arg(list, const char *);
            if (longs) { /* a wide text */ }
            else if (exact >= 0) { if (exact > 0) check_part(text, (size_t)exact); }
            else check_text(text);
        } else if (*at == 'n') check_write(va_arg(list, void *), 4);
        else (void)va_arg(list, void *);
        at++;
    }
    va_end(list);
    return 1;
}

static int into(const char *api, char *to, size_t size, int bounded, const char *format, va_list list) {
    static char plain[] = "%s";
    const char *whole = format;
    va_list again;
    if (!obeyed(api, format, list)) { /* as it is, with what a hostile one might add */
        size_t n = strlen(whole) + 1;
        if (!bounded || n <= size) { check_write(to, n); memmove(to, whole, n); }
        (void)plain;
        return (int)n - 1;
    }
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) return length;
    size_t need = (size_t)length + 1;
    if (bounded && need > size) need = size;
    if (need) check_write(to, need);
    if (!need) return length;
    char *made = malloc((size_t)length + 1);
    if (!made) return -1;
    vsnprintf(made, (size_t)length + 1, format, list);
    memcpy(to, made, need - 1);
    to[need - 1] = 0;
    free(made);
    return length;
}

#define WITH_LIST(call) va_list list; va_start(list, format); int made = call; va_end(list); return made

GUARD(vsprintf) int g_vsprintf(char *to, const char *format, va_list list) {
    return into("vsprintf", to, 0, 0, format, list);
}
GUARD(sprintf) int g_sprintf(char *to, const char *format, ...) {
    WITH_LIST(into("sprintf", to, 0, 0, format, list));
}
GUARD(vsnprintf) int g_vsnprintf(char *to, size_t n, const char *format, va_list list) {
    return into("vsnprintf", to, n, 1, format, list);
}
GUARD(snprintf) int g_snprintf(char *to, size_t n, const char *format, ...) {
    WITH_LIST(into("snprintf", to, n, 1, format, list));
}
static int to_stream(const char *api, FILE *stream, const char *format, va_list list) {
    if (!obeyed(api, format, list)) return fputs(format, stream), (int)strlen(format);
    return vfprintf(stream, format, list);
}
GUARD(printf) int g_printf(const char *format, ...) { WITH_LIST(to_stream("printf", stdout, format, list)); }
GUARD(vprintf) int g_vprintf(const char *format, va_list list) {
    return to_stream("vprintf", stdout, format, list);
}
GUARD(fprintf) int g_fprintf(FILE *stream, const char *format, ...) {
    check_read(stream, 1);
    WITH_LIST(to_stream("fprintf", stream, format, list));
}
GUARD(vfprintf) int g_vfprintf(FILE *stream, const char *format, va_list list) {
    check_read(stream, 1);
    return to_stream("vfprintf", stream, format, list);
}
GUARD(dprintf) int g_dprintf(int fd, const char *format, ...) {
    (void)fd;
    WITH_LIST(to_stream("dprintf", stdout, format, list));
}
GUARD(syslog) void g_syslog(int priority, const char *format, ...) {
    (void)priority;
    va_list list;
    va_start(list, format);
    if (obeyed("syslog", format, list)) {
        char line[1024];
        vsnprintf(line, sizeof line, format, list);
        tell("log", "syslog", line);
    }
    va_end(list);
}
EXPORT("guard_vsyslog") void g_vsyslog(int priority, const char *format, va_list list) {
    (void)priority;
    obeyed("vsyslog", format, list);
}
static int made_new(const char *api, char **to, const char *format, va_list list) {
    char *guard_malloc(size_t);
    va_list again;
    check_write(to, sizeof *to);
    if (!obeyed(api, format, list)) return (*to = g_strdup(format)) ? (int)strlen(format) : -1;
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    *to = length < 0 ? NULL : guard_malloc((size_t)length + 1);
    return *to ? vsnprintf(*to, (size_t)length + 1, format, list) : -1;
}
GUARD(asprintf) int g_asprintf(char **to, const char *format, ...) {
    WITH_LIST(made_new("asprintf", to, format, list));
}
GUARD(vasprintf) int g_vasprintf(char **to, const char *format, va_list list) {
    return made_new("vasprintf", to, format, list);
}

/* --- Scanning --------------------------------------------------------------------------------- */

enum { FIELDS = 24, WIDEST = 4000 };

/* Scan with every text going to a place of our own, and hand it on checked. */
static int scanned(FILE *stream, const char *from, const char *format, va_list list) {
    char form[1024];
    void *places[FIELDS], *wanted[FIELDS];
    int raw[FIELDS], count = 0;
    size_t used = 0;
    check_text(format);
    for (const char *at = format; *at && used < sizeof form - 16 && count < FIELDS;) {
        if (*at != '%') { form[used++] = *at++; continue; }
        form[used++] = *at++;
        if (*at == '%' || *at == '*') { form[used++] = *at++; continue; }
        int width = 0, wide = 0;
        while (*at >= '0' && *at <= '9') width = width < WIDEST ? width * 10 + *at++ - '0' : (at++, width);
        for (; *at && strchr("hlLjztqm", *at); at++) { wide |= *at != 'h'; form[used++] = *at; }
        int text = *at == 's' || *at == '[' || *at == 'c';
        wanted[count] = va_arg(list, void *);
        raw[count] = !text ? -1 : *at == 'c' ? (width ? width : 1) : 0;
        if (text && !wide) {
            if (width > WIDEST) width = WIDEST;
            used += (size_t)snprintf(form + used, 8, "%d", width ? width : *at == 'c' ? 1 : WIDEST);
            places[count] = calloc(1, WIDEST + 1);
            if (!places[count]) return -1;
        } else {
            if (width) used += (size_t)snprintf(form + used, 8, "%d", width);
            places[count] = wanted[count];
            raw[count] = -1;
            if (*at) check_write(wanted[count], 1);
        }
        count++;
        if (*at == '[') {
            do form[used++] = *at++; while (*at && (*at != ']' || at[-1] == '[' || (at[-1] == '^' && at[-2] == '[')) && used < sizeof form - 2);
        }
        if (*at) form[used++] = *at++;
    }
    form[used] = 0;
    int got = stream ? vfscanf(stream, form, (va_list)places) : vsscanf(from, form, (va_list)places);
    for (int i = 0; i < count; i++) {
        if (raw[i] < 0) continue;
        size_t size = raw[i] ? (size_t)raw[i] : strlen(places[i]) + 1;
        if (i < got) asan_memcpy(wanted[i], places[i], size);
        free(places[i]);
    }
    return got;
}
GUARD(sscanf) int g_sscanf(const char *s, const char *format, ...) {
    check_text(s);
    WITH_LIST(scanned(NULL, s, format, list));
}
GUARD(vsscanf) int g_vsscanf(const char *s, const char *format, va_list list) {
    return check_text(s), scanned(NULL, s, format, list);
}
GUARD(scanf) int g_scanf(const char *format, ...) { WITH_LIST(scanned(stdin, NULL, format, list)); }
GUARD(fscanf) int g_fscanf(FILE *stream, const char *format, ...) {
    check_read(stream, 1);
    WITH_LIST(scanned(stream, NULL, format, list));
}
EXPORT("guard___isoc99_sscanf") int iso_sscanf(const char *s, const char *format, ...) {
    WITH_LIST(scanned(NULL, s, format, list));
}

/* --- Streams ---------------------------------------------------------------------------------- */

GUARD(gets) char *g_gets(char *to) {
    size_t at = 0;
    for (int c; (c = getchar()) != EOF; at++) {
        check_write(to + at, 1);
        if (c == '\n') break;
        to[at] = (char)c;
    }
    check_write(to + at, 1);
    to[at] = 0;
    return at ? to : NULL;
}
GUARD(fgets) char *g_fgets(char *to, int n, FILE *stream) {
    char *got, *made;
    check_read(stream, 1);
    if (n <= 0) return NULL;
    if (!(made = malloc((size_t)n))) return NULL;
    got = fgets(made, n, stream);
    if (got) g_strcpy(to, made); /* no more is written than was read */
    free(made);
    return got ? to : NULL;
}
GUARD(fread) size_t g_fread(void *to, size_t size, size_t count, FILE *stream) {
    check_read(stream, 1);
    if (size && count > MOST / size) fault("wild-write", "fread");
    char *made = malloc(size * count + 1);
    if (!made) return 0;
    size_t got = fread(made, size, count, stream);
    asan_memcpy(to, made, got * size);
    free(made);
    return got;
}
GUARD(fwrite) size_t g_fwrite(const void *from, size_t size, size_t count, FILE *stream) {
    check_read(stream, 1);
    if (size && count > MOST / size) fault("wild-read", "fwrite");
    check_read(from, size * count);
    return fwrite(from, size, count, stream);
}
GUARD(fputs) int g_fputs(const char *s, FILE *stream) {
    return check_text(s), check_read(stream, 1), fputs(s, stream);
}
GUARD(puts) int g_puts(const char *s) { return check_text(s), puts(s); }
GUARD(fclose) int g_fclose(FILE *stream) { return check_read(stream, 1), fclose(stream); }
GUARD(fgetc) int g_fgetc(FILE *stream) { return check_read(stream, 1), fgetc(stream); }
GUARD(getc) int g_getc(FILE *stream) { return g_fgetc(stream); }
GUARD(fputc) int g_fputc(int c, FILE *stream) { return check_read(stream, 1), fputc(c, stream); }
GUARD(fseek) int g_fseek(FILE *stream, long at, int whence) { return check_read(stream, 1), fseek(stream, at, whence); }
GUARD(ftell) long g_ftell(FILE *stream) { return check_read(stream, 1), ftell(stream); }
GUARD(feof) int g_feof(FILE *stream) { return check_read(stream, 1), feof(stream); }
GUARD(qsort) void g_qsort(void *at, size_t count, size_t size, int (*order)(const void *, const void *)) {
    if (size && count > MOST / size) fault("wild-read", "qsort");
    check_write(at, count * size);
    qsort(at, count, size, order);
}
