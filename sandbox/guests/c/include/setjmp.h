/* What wasi-libc leaves out of <setjmp.h>; see ../world.c. */
#ifndef BLUECODE_SETJMP_H
#define BLUECODE_SETJMP_H
#ifdef __cplusplus
extern "C" {
#endif
/* A way back is not there: who jumps leaves the program. */
typedef int jmp_buf[8];
typedef int sigjmp_buf[8];
void longjmp(int *, int) __attribute__((noreturn));
void siglongjmp(int *, int) __attribute__((noreturn));
#define setjmp(place) ((void)(place), 0)
#define sigsetjmp(place, mask) ((void)(place), (void)(mask), 0)
#ifdef __cplusplus
}
#endif
#endif
