/* What wasi-libc leaves out of <sys/mman.h>; see ../world.c. */
#ifndef BLUECODE_SYS_MMAN_H
#define BLUECODE_SYS_MMAN_H
#include_next <sys/mman.h>
#ifdef __cplusplus
extern "C" {
#endif
int mlock(const void *, size_t);
int munlock(const void *, size_t);
#ifdef __cplusplus
}
#endif
#endif
