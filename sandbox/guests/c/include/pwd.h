/* What wasi-libc leaves out of <pwd.h>; see ../world.c. */
#ifndef BLUECODE_PWD_H
#define BLUECODE_PWD_H
#ifdef __cplusplus
extern "C" {
#endif
#include <sys/types.h>
struct passwd { char *pw_name, *pw_passwd; unsigned pw_uid, pw_gid; char *pw_gecos, *pw_dir, *pw_shell; };
struct passwd *getpwnam(const char *);
struct passwd *getpwuid(unsigned);
#ifdef __cplusplus
}
#endif
#endif
