/* A library to preload (LD_PRELOAD) that logs how to undo what a program does to the files below one folder, so that
 * lossy.py can afterwards take back what a power cut would have lost.
 *
 * TACIT_FAULT_DIR   the folder watched (a real path). Files named *-shm are left alone: SQLite maps that index into
 *                   memory and rebuilds it when it recovers.
 * TACIT_FAULT_LOG   a folder on the same file system: undo records (a file per process), a lock, and a hard link
 *                   "saved-<inode>" to every file unlinked or replaced, so that an inode number always means one file.
 * TACIT_FAULT_FAIL  an error to inject, see tacit_fault_arm().
 * TACIT_FAULT_SLOW  microseconds that each fsync takes longer, as on a slower disk.
 *
 * The kernel is asked at each call which file a descriptor means (/proc/self/fd): a table could be made wrong by dup()
 * or vfork(). The work itself is done by raw system calls. Not seen: memory maps, sendfile, copy_file_range, fallocate,
 * writev, link, unlinkat, renameat, truncate by path, stdio's FILE. SQLite uses none of these on its data. */
#define _GNU_SOURCE
#include "lossy_log.h"
#include <signal.h>
#include <stdarg.h>

enum { HERE = -1 }; /* instead of an offset: at the descriptor's own position */

static char fault[8];                /* "fsync", "write", "short" or nothing */
static long fault_at, syncs, writes; /* the call that fails, and the calls seen since the fault was armed */
static useconds_t slow;

/* "fsync:N": the N-th fsync of a file from now on fails with EIO. "write:N": the N-th write and all after it fail with
 * ENOSPC. "short:N": the N-th write stores half of its bytes, then the process is killed. "": nothing more fails. */
void tacit_fault_arm(const char *text) {
    pthread_mutex_lock(&mutex);
    fault[0] = '\0';
    fault_at = syncs = writes = 0;
    must(*text == '\0' || sscanf(text, "%7[a-z]:%ld", fault, &fault_at) == 2, "the fault is not like fsync:3");
    pthread_mutex_unlock(&mutex);
}

static int due(const char *name, long calls) {
    return strcmp(fault, name) == 0 && (calls == fault_at || (calls > fault_at && strcmp(name, "write") == 0));
}

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

__attribute__((constructor)) static void start(void) {
    log_folder = getenv("TACIT_FAULT_LOG");
    if (getenv("TACIT_FAULT_FAIL")) tacit_fault_arm(getenv("TACIT_FAULT_FAIL"));
    if (getenv("TACIT_FAULT_SLOW")) slow = (useconds_t)atol(getenv("TACIT_FAULT_SLOW"));
    pthread_atfork(before_fork, after_fork, after_fork);
    if (log_folder) directory = getenv("TACIT_FAULT_DIR");
}

static ssize_t store(int fd, const void *bytes, size_t count, off_t offset) {
    return offset == HERE ? syscall(SYS_write, fd, bytes, count) : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

static ssize_t lossy_write(int fd, const void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    ssize_t done = -1;
    if (!watched(fd, path)) return store(fd, bytes, count, offset);
    enter();
    int full = due("write", ++writes), torn = due("short", writes);
    if (full) {
        errno = ENOSPC;
    } else {
        off_t start = offset == HERE ? lseek(fd, 0, SEEK_CUR) : offset;
        if (fcntl(fd, F_GETFL) & O_APPEND) start = status(fd).st_size;
        remember(WRITE, fd, path, start, (int64_t)count);
        done = store(fd, bytes, torn ? count / 2 : count, offset);
        if (torn) kill(getpid(), SIGKILL);
    }
    leave();
    return done;
}
ssize_t write(int fd, const void *bytes, size_t count) { return lossy_write(fd, bytes, count, HERE); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return lossy_write(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return lossy_write(fd, bytes, count, at); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return (int)syscall(SYS_ftruncate, fd, size);
    enter();
    remember(TRUNCATE, fd, path, size, 0);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    leave();
    return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* A sync covers what was written before it began, and counts only once it has succeeded. */
static int lossy_sync(int fd, long call) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return (int)syscall(call, fd);
    struct stat file = status(fd);
    int is_directory = S_ISDIR(file.st_mode);
    enter();
    uint64_t began = now();
    int fails = !is_directory && due("fsync", ++syncs);
    leave();
    if (slow) usleep(slow);
    int result = fails ? -1 : (int)syscall(call, fd), error = fails ? EIO : errno;
    enter();
    enum kind kind = result != 0 ? SYNC_FAILED : is_directory ? SYNC_DIRECTORY : SYNC;
    append((struct record){.kind = kind, .time = began, .inode = file.st_ino}, path, "");
    leave();
    errno = error;
    return result;
}

int fsync(int fd) { return lossy_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return lossy_sync(fd, SYS_fdatasync); }

static int lossy_open(int folder, const char *path, int flags, mode_t mode) {
    char found[PATH_MAX];
    if (!directory || !(flags & (O_CREAT | O_TRUNC))) return (int)syscall(SYS_openat, folder, path, flags, mode);
    enter();
    int existed = faccessat(folder, path, F_OK, 0) == 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags & ~O_TRUNC, mode), error = errno;
    int counts = fd >= 0 && watched(fd, found);
    if (counts && !existed) append(change(CREATE, status(fd).st_ino), found, "");
    if (counts && existed && flags & O_TRUNC) remember(TRUNCATE, fd, found, 0, 0);
    if (fd >= 0 && flags & O_TRUNC) syscall(SYS_ftruncate, fd, 0); /* devices refuse; O_TRUNC ignores that as well */
    errno = error;
    leave();
    return fd;
}

#define OPEN(name, folder, ...)                                                        \
    int name(__VA_ARGS__ const char *path, int flags, ...) {                           \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                                  \
        return lossy_open(folder, path, flags, mode);                                  \
    }
OPEN(open, AT_FDCWD)
OPEN(open64, AT_FDCWD)
OPEN(openat, at, int at,)
OPEN(openat64, at, int at,)
int creat(const char *path, mode_t mode) { return lossy_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* The inode at a path and the path with its folder resolved; 0 where nothing is there or it is not watched. */
static ino_t entry(const char *path, char resolved[PATH_MAX]) {
    char folder[PATH_MAX], *slash;
    struct stat file;
    snprintf(resolved, PATH_MAX, "%s%s", strchr(path, '/') ? "" : "./", path);
    slash = strrchr(resolved, '/');
    *slash = '\0';
    if (!realpath(*resolved ? resolved : "/", folder)) return 0;
    if (snprintf(resolved, PATH_MAX, "%s/%s", folder, path + strlen(path) - strlen(slash + 1)) >= PATH_MAX) return 0;
    return watched_path(resolved) && lstat(resolved, &file) == 0 ? file.st_ino : 0;
}

int unlink(const char *path) {
    char resolved[PATH_MAX];
    if (!directory) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    enter();
    ino_t inode = entry(path, resolved);
    if (inode) save(resolved, inode);
    if (inode) append(change(UNLINK, inode), resolved, "");
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    leave();
    return result;
}

int rename(const char *from, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    if (!directory) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    enter();
    ino_t inode = entry(from, source), replaced = entry(to, target);
    struct record record = change(RENAME, inode);
    record.data_length = strlen(target);
    record.length = (int64_t)replaced;
    if (replaced) save(target, replaced);
    if (inode) append(record, source, target);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    leave();
    return result;
}
