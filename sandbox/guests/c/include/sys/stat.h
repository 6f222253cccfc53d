/* What wasi-libc leaves out of <sys/stat.h>; see ../world.c. */
#ifndef BLUECODE_SYS_STAT_H
#define BLUECODE_SYS_STAT_H
#include_next <sys/stat.h>
#ifdef __cplusplus
extern "C" {
#endif
mode_t umask(mode_t);
int chmod(const char *, mode_t);
int fchmod(int, mode_t);
int mkfifo(const char *, mode_t);
#ifdef __cplusplus
}
#endif
#endif
