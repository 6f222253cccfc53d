/* What wasi-libc leaves out of <sys/resource.h>; see ../world.c. */
#ifndef BLUECODE_SYS_RESOURCE_H
#define BLUECODE_SYS_RESOURCE_H
#include_next <sys/resource.h>
#ifdef __cplusplus
extern "C" {
#endif
#ifndef RLIMIT_CORE
typedef unsigned long long rlim_t;
struct rlimit { rlim_t rlim_cur, rlim_max; };
#define RLIMIT_CPU 0
#define RLIMIT_FSIZE 1
#define RLIMIT_DATA 2
#define RLIMIT_STACK 3
#define RLIMIT_CORE 4
#define RLIMIT_NPROC 6
#define RLIMIT_NOFILE 7
#define RLIMIT_AS 9
#endif
int setrlimit(int, const struct rlimit *);
int getrlimit(int, struct rlimit *);
#ifdef __cplusplus
}
#endif
#endif
