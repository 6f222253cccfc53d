/* What wasi-libc leaves out of <stdio.h>; see ../world.c. */
#ifndef BLUECODE_STDIO_H
#define BLUECODE_STDIO_H
#include_next <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
FILE *popen(const char *, const char *);
int pclose(FILE *);
char *gets(char *);
#ifndef L_tmpnam
#define L_tmpnam 20
#endif
#ifdef __cplusplus
}
#endif
#endif
