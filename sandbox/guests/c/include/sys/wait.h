/* What wasi-libc leaves out of <sys/wait.h>; see ../world.c. */
#ifndef BLUECODE_SYS_WAIT_H
#define BLUECODE_SYS_WAIT_H
#ifdef __cplusplus
extern "C" {
#endif
#include <sys/types.h>
pid_t wait(int *);
pid_t waitpid(pid_t, int *, int);
#define WNOHANG 1
#define WUNTRACED 2
#define WEXITSTATUS(status) (((status) >> 8) & 0xff)
#define WIFEXITED(status) (((status) & 0x7f) == 0)
#define WIFSIGNALED(status) (((status) & 0x7f) != 0)
#define WTERMSIG(status) ((status) & 0x7f)
#ifdef __cplusplus
}
#endif
#endif
