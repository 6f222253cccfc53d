/* What wasi-libc leaves out of <sys/socket.h>; see ../world.c. */
#ifndef BLUECODE_SYS_SOCKET_H
#define BLUECODE_SYS_SOCKET_H
#include_next <sys/socket.h>
#ifdef __cplusplus
extern "C" {
#endif
int socket(int, int, int);
int socketpair(int, int, int, int *);
int bind(int, const struct sockaddr *, socklen_t);
int connect(int, const struct sockaddr *, socklen_t);
int listen(int, int);
ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *);
ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
int setsockopt(int, int, int, const void *, socklen_t);
int getsockname(int, struct sockaddr *, socklen_t *);
int getpeername(int, struct sockaddr *, socklen_t *);
#ifndef SO_REUSEADDR
#define SO_REUSEADDR 2
#endif
#ifndef SOMAXCONN
#define SOMAXCONN 128
#endif
#ifdef __cplusplus
}
#endif
#endif
