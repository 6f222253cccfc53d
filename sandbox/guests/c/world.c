/* What a program may ask of the system: told, and answered with what the case gives. No file,
 * process, user or network is there; reads bring the case's own texts. */
#include "runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

enum { FIRST = 100, OPEN = 64 };

typedef struct { int used, socket; unsigned at; char *written; unsigned size; } Channel;
static Channel channels[OPEN];
static unsigned input_at;

void world_begins(void) { input_at = 0; }

static int open_channel(int socket) {
    if (asked('O')) { errno = ENOENT; return -1; }
    for (int i = 0; i < OPEN; i++) {
        if (channels[i].used) continue;
        channels[i] = (Channel){1, socket, 0, NULL, 0};
        return FIRST + i;
    }
    errno = EMFILE;
    return -1;
}
static Channel *channel_of(int fd) {
    return fd >= FIRST && fd < FIRST + OPEN && channels[fd - FIRST].used ? &channels[fd - FIRST] : NULL;
}

static unsigned bring(int fd, char *to, unsigned most) {
    Channel *channel = channel_of(fd);
    unsigned size = 0, *at = channel ? &channel->at : &input_at;
    const char *text = channel && !channel->socket ? given('D', 0, &size) : given('S', 0, &size);
    if (!text || *at >= size) return 0;
    unsigned got = size - *at < most ? size - *at : most;
    memcpy(to, text + *at, got);
    *at += got;
    return got;
}

/* --- What wasi-libc asks the host for, answered here where the case has an answer -------------- */

__wasi_errno_t __real___wasi_fd_read(__wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_size_t *);
__wasi_errno_t __wrap___wasi_fd_read(__wasi_fd_t fd, const __wasi_iovec_t *to, size_t count, __wasi_size_t *got) {
    *got = 0;
    for (size_t i = 0; i < count; i++) *got += bring((int)fd, (char *)to[i].buf, to[i].buf_len);
    return 0;
}
__wasi_errno_t __real___wasi_fd_write(__wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_size_t *);
__wasi_errno_t __wrap___wasi_fd_write(__wasi_fd_t fd, const __wasi_ciovec_t *from, size_t count, __wasi_size_t *done) {
    Channel *channel = channel_of((int)fd);
    if (!channel) return __real___wasi_fd_write(fd, from, count, done);
    *done = 0;
    for (size_t i = 0; i < count; i++) *done += from[i].buf_len;
    if (channel->socket && count && from[0].buf_len) {
        char text[512];
        unsigned n = from[0].buf_len < sizeof text - 1 ? from[0].buf_len : sizeof text - 1;
        memcpy(text, from[0].buf, n);
        text[n] = 0;
        tell("send", "write", text);
    }
    return 0;
}
__wasi_errno_t __real___wasi_fd_close(__wasi_fd_t);
__wasi_errno_t __wrap___wasi_fd_close(__wasi_fd_t fd) {
    Channel *channel = channel_of((int)fd);
    if (channel) channel->used = 0;
    return channel || fd < 3 ? 0 : __WASI_ERRNO_BADF;
}
__wasi_errno_t __real___wasi_fd_fdstat_get(__wasi_fd_t, __wasi_fdstat_t *);
__wasi_errno_t __wrap___wasi_fd_fdstat_get(__wasi_fd_t fd, __wasi_fdstat_t *stat) {
    if (!channel_of((int)fd)) return __real___wasi_fd_fdstat_get(fd, stat);
    memset(stat, 0, sizeof *stat);
    stat->fs_filetype = __WASI_FILETYPE_REGULAR_FILE;
    stat->fs_rights_base = stat->fs_rights_inheriting = ~0ull;
    return 0;
}
__wasi_errno_t __real___wasi_fd_seek(__wasi_fd_t, __wasi_filedelta_t, __wasi_whence_t, __wasi_filesize_t *);
__wasi_errno_t __wrap___wasi_fd_seek(__wasi_fd_t fd, __wasi_filedelta_t by, __wasi_whence_t whence, __wasi_filesize_t *at) {
    Channel *channel = channel_of((int)fd);
    if (!channel) return __real___wasi_fd_seek(fd, by, whence, at);
    unsigned size = 0;
    given('D', 0, &size);
    long long from = whence == __WASI_WHENCE_SET ? 0 : whence == __WASI_WHENCE_CUR ? channel->at : size;
    if (from + by < 0) return __WASI_ERRNO_INVAL;
    channel->at = (unsigned)(from + by);
    *at = channel->at;
    return 0;
}
__wasi_errno_t __real___wasi_fd_filestat_get(__wasi_fd_t, __wasi_filestat_t *);
__wasi_errno_t __wrap___wasi_fd_filestat_get(__wasi_fd_t fd, __wasi_filestat_t *stat) {
    if (!channel_of((int)fd)) return __real___wasi_fd_filestat_get(fd, stat);
    unsigned size = 0;
    given('D', 0, &size);
    memset(stat, 0, sizeof *stat);
    stat->filetype = __WASI_FILETYPE_REGULAR_FILE;
    stat->nlink = 1;
    stat->size = size;
    return 0;
}

GUARD(read) ssize_t g_read(int fd, void *to, size_t most) {
    if (most > MOST) fault("wild-write", "read");
    char *made = malloc(most + 1);
    if (!made) return -1;
    unsigned got = fd == 0 || channel_of(fd) ? bring(fd, made, most) : 0;
    if (got) { check_write(to, got); memcpy(to, made, got); }
    free(made);
    return (ssize_t)got;
}
GUARD(write) ssize_t g_write(int fd, const void *from, size_t size) {
    check_read(from, size);
    return write(fd, from, size);
}

/* --- Files ------------------------------------------------------------------------------------ */

static const char *path_of(const char *api, const char *path) {
    check_text(path);
    tell("path", api, path);
    return path;
}
int __wrap_open(const char *path, int flags, ...) {
    if (!telling) return errno = ENOENT, -1;
    path_of("open", path);
    (void)flags;
    return open_channel(0);
}
EXPORT("guard_fopen") FILE *__wrap_fopen(const char *path, const char *mode) {
    if (!telling) return NULL;
    path_of("fopen", path);
    int fd = open_channel(0);
    return fd < 0 ? NULL : fdopen(fd, mode);
}
EXPORT("guard_open") int g_open(const char *path, int flags, ...) { return __wrap_open(path, flags); }
GUARD(openat) int g_openat(int at, const char *path, int flags, ...) { (void)at; return __wrap_open(path, flags); }
GUARD(creat) int g_creat(const char *path, unsigned mode) { (void)mode; return __wrap_open(path, 0); }
EXPORT("guard_fopen64") FILE *g_fopen64(const char *path, const char *mode) { return __wrap_fopen(path, mode); }
EXPORT("guard_freopen") FILE *g_freopen(const char *path, const char *mode, FILE *was) {
    (void)was;
    return path ? __wrap_fopen(path, mode) : NULL;
}
#define ONE_PATH(name) GUARD(name) int g_##name(const char *path) { return path_of(#name, path), 0; }
ONE_PATH(remove) ONE_PATH(unlink) ONE_PATH(rmdir) ONE_PATH(chdir) ONE_PATH(chroot)
#define PATH_AND(name, type) \
    GUARD(name) int g_##name(const char *path, type other) { (void)other; return path_of(#name, path), asked('O') ? -1 : 0; }
PATH_AND(mkdir, unsigned) PATH_AND(chmod, unsigned) PATH_AND(access, int) PATH_AND(truncate, long long)
PATH_AND(mkfifo, unsigned)
GUARD(chown) int g_chown(const char *path, unsigned u, unsigned g) { (void)u, (void)g; return path_of("chown", path), 0; }
GUARD(rename) int g_rename(const char *a, const char *b) { return path_of("rename", a), path_of("rename", b), 0; }
GUARD(link) int g_link(const char *a, const char *b) { return path_of("link", a), path_of("link", b), 0; }
GUARD(symlink) int g_symlink(const char *a, const char *b) { return path_of("symlink", a), path_of("symlink", b), 0; }
static int stated(const char *api, const char *path, void *to, size_t size) {
    path_of(api, path);
    check_write(to, size);
    memset(to, 0, size);
    if (asked('O')) return errno = ENOENT, -1;
    ((struct stat *)to)->st_mode = S_IFREG | 0644;
    ((struct stat *)to)->st_nlink = 1;
    return 0;
}
GUARD(stat) int g_stat(const char *path, struct stat *to) { return stated("stat", path, to, sizeof *to); }
GUARD(lstat) int g_lstat(const char *path, struct stat *to) { return stated("lstat", path, to, sizeof *to); }
GUARD(opendir) void *g_opendir(const char *path) { path_of("opendir", path); errno = ENOENT; return NULL; }
GUARD(readlink) ssize_t g_readlink(const char *path, char *to, size_t size) {
    (void)to, (void)size;
    return path_of("readlink", path), errno = EINVAL, -1;
}
/* A path without its `.` and `..`, as the file system would have it were there no links. */
GUARD(realpath) char *g_realpath(const char *path, char *to) {
    char made[4096] = "/srv/work";
    check_text(path);
    if (!*path || strlen(path) > 3000) { errno = ENOENT; return NULL; }
    if (*path == '/') made[0] = 0;
    char *copy = strdup(path), *rest = copy;
    for (char *part; copy && (part = strsep(&rest, "/"));) {
        char *last = strrchr(made, '/');
        if (!*part || !strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) { if (last) *last = 0; continue; }
        strcat(made, "/");
        strcat(made, part);
    }
    free(copy);
    if (!*made) strcpy(made, "/");
    if (to) check_write(to, strlen(made) + 1);
    return to ? strcpy(to, made) : strdup(made);
}
EXPORT("guard_canonicalize_file_name") char *canonical(const char *path) { return g_realpath(path, NULL); }
GUARD(getcwd) char *g_getcwd(char *to, size_t size) {
    static const char at[] = "/srv/work";
    if (!to) return strdup(at);
    if (size < sizeof at) { errno = ERANGE; return NULL; }
    check_write(to, sizeof at);
    return strcpy(to, at);
}
EXPORT("guard_tmpnam") char *make_name(char *to) {
    static char name[] = "/tmp/fileAAAA";
    tell("weak", "tmpnam", name);
    return to ? strcpy(to, name) : name;
}
EXPORT("guard_tempnam") char *temp_name(const char *a, const char *b) { (void)a, (void)b; tell("weak", "tempnam", ""); return strdup("/tmp/fileAAAA"); }
EXPORT("guard_mktemp") char *make_temp(char *form) { check_text(form); tell("weak", "mktemp", form); return form; }
EXPORT("guard_mkstemp") int make_file(char *form) { check_text(form); return open_channel(0); }
EXPORT("guard_mkostemp") int make_file_with(char *form, int f) { (void)f; return make_file(form); }
EXPORT("guard_mkdtemp") char *make_folder(char *form) { check_text(form); return form; }
EXPORT("guard_tmpfile") FILE *make_stream(void) { int fd = open_channel(0); return fd < 0 ? NULL : fdopen(fd, "w+"); }
EXPORT("guard_umask") unsigned new_mask(unsigned mask) { (void)mask; return 022; }
EXPORT("guard_fchmod") int file_mode(int fd, unsigned mode) { (void)fd, (void)mode; return 0; }
EXPORT("guard_fchown") int file_owner(int fd, unsigned u, unsigned g) { (void)fd, (void)u, (void)g; return 0; }
EXPORT("guard_flock") int file_lock(int fd, int how) { (void)fd, (void)how; return 0; }

/* --- The environment, users, processes --------------------------------------------------------- */

GUARD(getenv) char *g_getenv(const char *name) {
    unsigned size;
    check_text(name);
    tell("environment", "getenv", name);
    return (char *)given('V', 0, &size);
}
EXPORT("guard_secure_getenv") char *secure_getenv_(const char *name) { return g_getenv(name); }
GUARD(setenv) int g_setenv(const char *a, const char *b, int c) { (void)c; return check_text(a), check_text(b), 0; }
GUARD(putenv) int g_putenv(char *a) { return check_text(a), 0; }

EXPORT("guard_system") int run_command(const char *command) {
    if (!command) return 1;
    check_text(command);
    tell("shell", "system", command);
    return 0;
}
EXPORT("guard_popen") FILE *open_command(const char *command, const char *mode) {
    check_text(command);
    tell("shell", "popen", command);
    int fd = open_channel(0);
    return fd < 0 ? NULL : fdopen(fd, *mode == 'w' ? "w" : "r");
}
int g_fclose(FILE *);
EXPORT("guard_pclose") int close_command(FILE *stream) { return g_fclose(stream); }

static int program_of(const char *api, const char *path, const char *const *list) {
    char line[1500];
    size_t at = 0;
    check_text(path);
    int shell = 0;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (const char *const *known = (const char *const[]){"sh", "bash", "dash", "ksh", "zsh", NULL}; *known; known++)
        shell |= !strcmp(name, *known);
    line[0] = 0;
    for (int i = 0; i < 32 && list; i++) {
        check_read(list + i, sizeof *list);
        if (!list[i]) break;
        size_t n = check_text(list[i]);
        if (shell && i && !strcmp(list[i - 1], "-c")) { tell("shell", api, list[i]); return errno = ENOENT, -1; }
        if (at + n + 2 < sizeof line) at += (size_t)sprintf(line + at, "%s%s", i ? " " : "", list[i]);
    }
    tell("argv", api, *line ? line : path);
    errno = ENOENT;
    return -1;
}
#define EXECV(name) EXPORT("guard_" #name) int run_##name(const char *path, const char *const *list) { return program_of(#name, path, list); }
EXECV(execv) EXECV(execvp)
EXPORT("guard_execve") int run_execve(const char *path, const char *const *list, char *const *e) { (void)e; return program_of("execve", path, list); }
EXPORT("guard_execvpe") int run_execvpe(const char *path, const char *const *list, char *const *e) { (void)e; return program_of("execvpe", path, list); }
#define EXECL(name) \
    EXPORT("guard_" #name) int run_##name(const char *path, const char *first, ...) { \
        const char *items[33] = {first}; \
        va_list list; \
        va_start(list, first); \
        for (int i = 1; i < 32 && items[i - 1]; i++) items[i] = va_arg(list, const char *); \
        va_end(list); \
        return program_of(#name, path, items); \
    }
EXECL(execl) EXECL(execlp) EXECL(execle)
static int spawned(int *pid, const char *path, char *const *list) {
    if (pid) *pid = 42;
    program_of("posix_spawn", path, (const char *const *)list);
    return 0;
}
EXPORT("guard_posix_spawn") int spawn(int *pid, const char *path, void *a, void *b, char *const *l, char *const *e) { (void)a, (void)b, (void)e; return spawned(pid, path, l); }
EXPORT("guard_posix_spawnp") int spawnp(int *pid, const char *path, void *a, void *b, char *const *l, char *const *e) { (void)a, (void)b, (void)e; return spawned(pid, path, l); }
/* The child's way is gone, and comes to its end at `exec`; what the parent does is not seen. */
EXPORT("guard_fork") int make_child(void) { return 0; }
EXPORT("guard_vfork") int make_vchild(void) { return 0; }
EXPORT("guard_wait") int wait_any(int *status) { if (status) *status = 0; errno = ECHILD; return -1; }
EXPORT("guard_waitpid") int wait_one(int pid, int *status, int o) { (void)o; if (status) *status = 0; return pid; }
EXPORT("guard_kill") int send_signal(int pid, int what) { (void)pid, (void)what; return 0; }
EXPORT("guard_raise") int raise_signal(int what) { (void)what; abort(); }
EXPORT("guard_signal") void *on_signal(int what, void *how) { (void)what, (void)how; return NULL; }
EXPORT("guard_sigaction") int on_sigaction(int what, const void *a, void *b) { (void)what, (void)a, (void)b; return 0; }
EXPORT("guard_sigemptyset") int no_signals(void *set) { (void)set; return 0; }
EXPORT("guard_sigfillset") int all_signals(void *set) { (void)set; return 0; }
EXPORT("guard_sigaddset") int add_signal(void *set, int what) { (void)set, (void)what; return 0; }
EXPORT("guard_sigprocmask") int mask_signals(int how, const void *a, void *b) { (void)how, (void)a, (void)b; return 0; }
EXPORT("guard_alarm") unsigned alarm_at(unsigned seconds) { (void)seconds; return 0; }
EXPORT("guard_daemon") int be_daemon(int a, int b) { (void)a, (void)b; return 0; }
EXPORT("guard_setsid") int new_session(void) { return 42; }
EXPORT("guard_pipe") int make_pipe(int *ends) {
    check_write(ends, 8);
    ends[0] = open_channel(0), ends[1] = open_channel(0);
    return 0;
}
EXPORT("guard_dup") int copy_fd(int fd) { return fd; }
EXPORT("guard_dup2") int copy_fd_to(int fd, int to) { (void)fd; return to; }
#define NOBODY(name) EXPORT("guard_" #name) int name##_(void) { return 1000; }
NOBODY(getuid) NOBODY(geteuid) NOBODY(getgid) NOBODY(getegid) NOBODY(getppid) NOBODY(getpgrp)
#define TO_USER(name) EXPORT("guard_" #name) int name##_(unsigned id) { (void)id; return asked('U') ? -1 : 0; }
TO_USER(setuid) TO_USER(setgid) TO_USER(seteuid) TO_USER(setegid)
EXPORT("guard_setreuid") int both_users(unsigned a, unsigned b) { (void)a, (void)b; return 0; }
EXPORT("guard_setregid") int both_groups(unsigned a, unsigned b) { (void)a, (void)b; return 0; }
EXPORT("guard_setgroups") int set_groups(size_t n, const void *list) { (void)n, (void)list; return 0; }
EXPORT("guard_setrlimit") int set_limit(int what, const void *to) { (void)what, (void)to; return 0; }
typedef struct { char *name, *password; unsigned uid, gid; char *real, *home, *shell; } User;
static User somebody = {"user", "x", 1000, 1000, "", "/home/user", "/bin/sh"};
EXPORT("guard_getpwnam") User *user_named(const char *name) { check_text(name); return asked('O') ? NULL : &somebody; }
EXPORT("guard_getpwuid") User *user_of(unsigned id) { (void)id; return asked('O') ? NULL : &somebody; }
EXPORT("guard_getlogin") char *login(void) { return "user"; }
EXPORT("guard_getpass") char *password(const char *prompt) {
    unsigned size;
    (void)prompt;
    return (char *)given('S', 0, &size);
}
EXPORT("guard_dlopen") void *load(const char *path, int how) { (void)how; if (path) path_of("dlopen", path); return NULL; }
EXPORT("guard_dlsym") void *find(void *at, const char *name) { (void)at, (void)name; return NULL; }
EXPORT("guard_dlerror") char *load_error(void) { return "no such library"; }
EXPORT("guard_dlclose") int unload(void *at) { (void)at; return 0; }
EXPORT("guard_gethostname") int host_name(char *to, size_t size) {
    if (size < 5) return -1;
    check_write(to, 5);
    strcpy(to, "host");
    return 0;
}
EXPORT("guard_mlock") int lock_memory(const void *at, size_t n) { (void)at, (void)n; return 0; }
EXPORT("guard_munlock") int unlock_memory(const void *at, size_t n) { (void)at, (void)n; return 0; }
EXPORT("guard_openlog") void open_log(const char *a, int b, int c) { (void)a, (void)b, (void)c; }
EXPORT("guard_closelog") void close_log(void) {}

/* --- Chance ----------------------------------------------------------------------------------- */

GUARD(srand) void g_srand(unsigned seed) { tell("random", "srand", ""); srand(seed); }
GUARD(rand) int g_rand(void) { tell("random", "rand", ""); return asked('R') ? RAND_MAX : rand(); }
EXPORT("guard_random") long g_random(void) { tell("random", "random", ""); return asked('R') ? RAND_MAX : rand(); }
EXPORT("guard_rand_r") int g_rand_r(unsigned *seed) { tell("random", "rand_r", ""); *seed = *seed * 1103515245 + 12345; return (int)(*seed >> 1); }
EXPORT("guard_getrandom") ssize_t get_random(void *to, size_t size, unsigned flags) {
    (void)flags;
    check_write(to, size);
    arc4random_buf(to, size);
    return (ssize_t)size;
}

/* --- The network ------------------------------------------------------------------------------ */

EXPORT("guard_socket") int make_socket(int a, int b, int c) { (void)a, (void)b, (void)c; return open_channel(1); }
EXPORT("guard_socketpair") int make_pair(int a, int b, int c, int *ends) { (void)a, (void)b, (void)c; ends[0] = open_channel(1), ends[1] = open_channel(1); return 0; }
EXPORT("guard_bind") int bind_to(int fd, const void *to, unsigned size) { (void)fd, (void)to, (void)size; return 0; }
EXPORT("guard_connect") int connect_to(int fd, const void *to, unsigned size) {
    char text[64];
    const unsigned char *raw = to;
    (void)fd;
    check_read(to, size);
    snprintf(text, sizeof text, "%u.%u.%u.%u:%u", raw[4], raw[5], raw[6], raw[7], raw[2] * 256u + raw[3]);
    tell("connect", "connect", text);
    return 0;
}
EXPORT("guard_listen") int listen_on(int fd, int n) { (void)fd, (void)n; return 0; }
EXPORT("guard_accept") int accept_from(int fd, void *from, unsigned *size) { (void)fd, (void)from, (void)size; return open_channel(1); }
EXPORT("guard_accept4") int accept_with(int fd, void *from, unsigned *size, int f) { (void)f; return accept_from(fd, from, size); }
EXPORT("guard_recv") ssize_t receive(int fd, void *to, size_t most, int f) { (void)f; return g_read(fd, to, most); }
EXPORT("guard_recvfrom") ssize_t receive_from(int fd, void *to, size_t most, int f, void *a, void *b) { (void)f, (void)a, (void)b; return g_read(fd, to, most); }
EXPORT("guard_send") ssize_t send_to(int fd, const void *from, size_t size, int f) { (void)f; return g_write(fd, from, size); }
EXPORT("guard_sendto") ssize_t send_to_one(int fd, const void *from, size_t size, int f, const void *a, unsigned b) { (void)f, (void)a, (void)b; return g_write(fd, from, size); }
EXPORT("guard_shutdown") int shut(int fd, int how) { (void)fd, (void)how; return 0; }
EXPORT("guard_setsockopt") int set_option(int a, int b, int c, const void *d, unsigned e) { (void)a, (void)b, (void)c, (void)d, (void)e; return 0; }
EXPORT("guard_getsockname") int own_name(int a, void *b, unsigned *c) { (void)a, (void)b, (void)c; return 0; }
EXPORT("guard_getpeername") int peer_name(int a, void *b, unsigned *c) { (void)a, (void)b, (void)c; return 0; }
typedef struct { char *name, **others; int family, size; char **addresses; } Host;
EXPORT("guard_gethostbyname") Host *host_named(const char *name) {
    static char address[4] = {10, 0, 0, 1}, *list[] = {address, NULL}, *none[] = {NULL};
    static Host host = {"host.example", none, 1, 4, list};
    check_text(name);
    tell("connect", "gethostbyname", name);
    return asked('O') ? NULL : &host;
}
EXPORT("guard_getaddrinfo") int addresses(const char *name, const char *service, const void *hints, void **to) {
    (void)service, (void)hints;
    if (name) { check_text(name); tell("connect", "getaddrinfo", name); }
    *to = NULL;
    return 1;
}
EXPORT("guard_freeaddrinfo") void no_addresses(void *list) { (void)list; }
EXPORT("guard_gai_strerror") const char *address_error(int code) { (void)code; return "no address"; }
EXPORT("guard_longjmp") void jump(int *to, int value) { (void)to; _Exit(value ? value : 1); }
EXPORT("guard_siglongjmp") void jump_out(int *to, int value) { jump(to, value); }
EXPORT("guard_getrlimit") int limit_of(int what, unsigned long long *to) { (void)what; to[0] = to[1] = ~0ull; return 0; }

/* --- Exceptions of C++: a throw leaves the program, for there is no way back ------------------- */

EXPORT("guard___cxa_allocate_exception") void *thrown(size_t size) { return malloc(size); }
EXPORT("guard___cxa_throw") void throw_it(void *what, void *kind, void *end) { (void)what, (void)kind, (void)end; _Exit(1); }
EXPORT("guard___cxa_rethrow") void throw_again(void) { _Exit(1); }
EXPORT("guard__ZNSt3__122__libcpp_verbose_abortEPKcz") void broken_contract(const char *format, ...) {
    (void)format;
    fault("bounds", "the library's own check");
}
