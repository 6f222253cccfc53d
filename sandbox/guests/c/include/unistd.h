/* What wasi-libc leaves out of <unistd.h>; see ../world.c. */
#ifndef BLUECODE_UNISTD_H
#define BLUECODE_UNISTD_H
#include_next <unistd.h>
#ifdef __cplusplus
extern "C" {
#endif
int fork(void);
int vfork(void);
int execl(const char *, const char *, ...);
int execlp(const char *, const char *, ...);
int execle(const char *, const char *, ...);
int execv(const char *, char *const *);
int execvp(const char *, char *const *);
int execve(const char *, char *const *, char *const *);
int execvpe(const char *, char *const *, char *const *);
uid_t getuid(void);
uid_t geteuid(void);
gid_t getgid(void);
gid_t getegid(void);
pid_t getppid(void);
int setuid(uid_t);
int setgid(gid_t);
int seteuid(uid_t);
int setegid(gid_t);
int setreuid(uid_t, uid_t);
int setregid(gid_t, gid_t);
int chown(const char *, uid_t, gid_t);
int fchown(int, uid_t, gid_t);
int chroot(const char *);
int dup(int);
int dup2(int, int);
int pipe(int *);
pid_t setsid(void);
int daemon(int, int);
unsigned alarm(unsigned);
char *getpass(const char *);
char *getlogin(void);
#ifdef __cplusplus
}
#endif
#endif
