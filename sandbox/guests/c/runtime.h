/* What the parts of the C guest's runtime share. The runtime, wasi-libc and libc++ make up one
 * module, built once; a program is linked against it, instrumented by the compiler, and finds all
 * that it calls here. A name `guard_NAME` or `__wrap_NAME` is what a program gets for NAME. */
#ifndef BLUECODE_RUNTIME_H
#define BLUECODE_RUNTIME_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define GUARD(name) EXPORT("guard_" #name)

/* The layout of memory, as `languages/c.py` has it, too. Between the base's own data and the
 * program's lie one byte of shadow for each eight of memory, and the program's stack. */
#define NULL_END 0x10000u
#define SHADOW 0x400000u
#define SHADOW_END 0x1400000u
#define STACK_LOW 0x1410000u
#define STACK_HIGH 0x1C00000u
#define EARLY_END 0x1D00000u /* what is allocated before a program is there */
#define MOST ((SHADOW_END - SHADOW) * 8u)

/* checks.c */
void fault(const char *kind, const char *detail) __attribute__((noreturn));
void remark(const char *kind, unsigned line, const char *detail);
void check_read(const void *from, size_t size);
void check_write(const void *to, size_t size);
size_t check_text(const char *text);
int readable_text(const char *text);
void poison(uint32_t from, uint32_t size, int value);

/* cases.c */
extern unsigned here; /* the program's line that runs */
extern int telling;   /* a case runs: events count */
void tell(const char *kind, const char *api, const char *text);
void tell_more(const char *kind, const char *api, const char *text, const char *detail);
void tell_fault(const char *kind, unsigned line, const char *detail);
const char *given(char key, unsigned index, unsigned *size);
int asked(char key);
int marked(const char *text);

#endif
