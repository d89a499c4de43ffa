/* The undo log of lossy.c: which files are watched, one record for each change to them, and the lock that keeps the
 * log's times in the order of what really happened. lossy.py reads the records. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, SYNC, SYNC_FAILED, SYNC_DIRECTORY, CREATE, UNLINK, RENAME };

struct record { /* read by lossy.py; followed by the path and the data */
    uint32_t kind, path_length;
    uint64_t time, inode, data_length;
    int64_t offset, length, old_size;
};

static const char *directory, *log_folder;
static int log_file = -1, lock_file = -1;
static pid_t owner; /* the process that opened the two files above: a forked child opens its own */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all of the above; flock does between processes */

static void must(int held, const char *what) {
    if (held) return;
    dprintf(STDERR_FILENO, "lossy: %s: %s\n", what, strerror(errno));
    abort();
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_beside_log(const char *name, int flags) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", log_folder, name);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    return fd;
}

/* Between enter() and leave() no other thread or process changes the files, so the log's times tell the true order. */
static void enter(void) {
    pthread_mutex_lock(&mutex);
    if (owner != getpid()) {
        char name[64];
        owner = getpid();
        snprintf(name, sizeof name, "undo-%d-%llu", (int)owner, (unsigned long long)now());
        log_file = open_beside_log(name, O_WRONLY | O_APPEND);
        lock_file = open_beside_log("lock", O_RDWR);
    }
    while (flock(lock_file, LOCK_EX) != 0) must(errno == EINTR, "flock");
}

static void leave(void) {
    int error = errno;
    must(flock(lock_file, LOCK_UN) == 0, "flock");
    pthread_mutex_unlock(&mutex);
    errno = error;
}

static int watched_path(const char *path) {
    size_t length = strlen(directory), end = strlen(path);
    if (strncmp(path, directory, length) != 0 || (path[length] != '/' && path[length] != '\0')) return 0;
    return end < 4 || strcmp(path + end - 4, "-shm") != 0;
}

static int watched(int fd, char path[PATH_MAX]) {
    char link[64];
    int error = errno;
    if (!directory) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = error;
    if (length < 0) return 0;
    path[length] = '\0';
    return watched_path(path);
}

static struct stat status(int fd) {
    struct stat found;
    must(fstat(fd, &found) == 0, "fstat");
    return found;
}

static struct record change(enum kind kind, ino_t inode) {
    return (struct record){.kind = kind, .time = now(), .inode = inode};
}

static void append(struct record record, const char *path, const void *data) {
    record.path_length = (uint32_t)strlen(path);
    struct iovec parts[] = {
        {&record, sizeof record}, {(void *)path, record.path_length}, {(void *)data, record.data_length}};
    size_t total = sizeof record + record.path_length + record.data_length;
    must(writev(log_file, parts, 3) == (ssize_t)total, "the undo log cannot be written");
}

/* Logs how the file is now, before the bytes [offset, end of the old file or offset + length) are changed. */
static void remember(enum kind kind, int fd, const char *path, off_t offset, int64_t length) {
    struct stat file = status(fd);
    int64_t reach = kind == WRITE && offset + length < file.st_size ? offset + length : file.st_size;
    size_t size = reach > offset ? (size_t)(reach - offset) : 0, done = 0;
    char *old = malloc(size + 1), link[64];
    must(old != NULL, "malloc");
    int reader = fd;
    if (size && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        /* Closing this second descriptor drops the process's POSIX locks on the file; SQLite opens what it locks
         * for reading and writing, and so never comes here. */
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        reader = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    }
    while (done < size) {
        ssize_t got = pread(reader, old + done, size - done, offset + (off_t)done);
        must(got > 0, "the old bytes cannot be read");
        done += (size_t)got;
    }
    if (reader != fd) syscall(SYS_close, reader);
    struct record record = change(kind, file.st_ino);
    record.data_length = size;
    record.offset = offset;
    record.length = length;
    record.old_size = file.st_size;
    append(record, path, old);
    free(old);
}

static void save(const char *path, ino_t inode) {
    char saved[PATH_MAX];
    snprintf(saved, sizeof saved, "%s/saved-%llu", log_folder, (unsigned long long)inode);
    must(syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, saved, 0) == 0 || errno == EEXIST, saved);
}
