/* The name database that zig's headers declare and wasi-libc lacks. It is empty: CPython's socket
 * module then has its functions, and each of them fails as on a machine without a network. */
#include <netdb.h>
#include <stddef.h>

int *__h_errno_location(void) {
    static int error = HOST_NOT_FOUND;
    return &error;
}

const char *hstrerror(int error) {
    (void)error;
    return "Unknown host";
}

struct hostent *gethostbyname(const char *name) {
    (void)name;
    return NULL;
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family) {
    (void)address, (void)length, (void)family;
    return NULL;
}

struct servent *getservbyname(const char *name, const char *protocol) {
    (void)name, (void)protocol;
    return NULL;
}

struct servent *getservbyport(int port, const char *protocol) {
    (void)port, (void)protocol;
    return NULL;
}

struct protoent *getprotobyname(const char *name) {
    (void)name;
    return NULL;
}
