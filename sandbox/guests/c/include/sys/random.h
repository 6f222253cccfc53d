/* What wasi-libc leaves out of <sys/random.h>; see ../world.c. */
#ifndef BLUECODE_SYS_RANDOM_H
#define BLUECODE_SYS_RANDOM_H
#include_next <sys/random.h>
#include <sys/types.h>
#ifdef __cplusplus
extern "C" {
#endif
ssize_t getrandom(void *, size_t, unsigned);
#define GRND_NONBLOCK 1
#define GRND_RANDOM 2
#ifdef __cplusplus
}
#endif
#endif
