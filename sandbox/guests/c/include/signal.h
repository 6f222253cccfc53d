/* What wasi-libc leaves out of <signal.h>; see ../world.c. */
#ifndef BLUECODE_SIGNAL_H
#define BLUECODE_SIGNAL_H
#include_next <signal.h>
#ifdef __cplusplus
extern "C" {
#endif
#ifndef SA_RESTART
struct sigaction { void (*sa_handler)(int); unsigned long sa_mask; int sa_flags; };
#define SA_RESTART 0x10000000
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
int sigaction(int, const struct sigaction *, struct sigaction *);
int kill(int, int);
#endif
#ifdef __cplusplus
}
#endif
#endif
