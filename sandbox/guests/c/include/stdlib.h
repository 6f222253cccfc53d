/* What wasi-libc leaves out of <stdlib.h>; see ../world.c. */
#ifndef BLUECODE_STDLIB_H
#define BLUECODE_STDLIB_H
#include_next <stdlib.h>
#ifdef __cplusplus
extern "C" {
#endif
int mkstemp(char *);
int mkostemp(char *, int);
char *mkdtemp(char *);
char *mktemp(char *);
char *secure_getenv(const char *);
#ifdef __cplusplus
}
#endif
#endif
