// crash_shim: an LD_PRELOAD library for crash matrices. It counts the calls of one process that change files below a
// directory, and at the n-th one kills the process, or lets the call fail.
//
// Source: tests only; tests/support/crash.py drives it through a shared control file, opened before main() and mapped,
// so that a sandbox entered later does not matter. Environment: FLEETSEAL_SHIM_CONTROL (the file) and
// FLEETSEAL_SHIM_DIRECTORY (an absolute path). The first process that maps the control file owns it: children and
// programs that it starts are left alone. Nothing happens until `is_armed` is set.
// Thread rule: any thread and signal handler; counters are atomic, nothing allocates or locks.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum Mode { kCount, kKillBefore, kKillAfter, kFailOnce, kFailFromThere, kHalfThenKill };

// As in tests/support/crash.py.
struct Control {
  _Atomic int32_t owner;
  _Atomic int32_t is_armed;
  int32_t mode;
  int32_t error;
  _Atomic int64_t at;
  _Atomic int64_t count;
  _Atomic int64_t fired;
  char last[64];  // the call that was hit
};

static struct Control* control;
static char directory[PATH_MAX];
static size_t directory_size;
static pid_t own_pid;

__attribute__((constructor)) static void Start(void) {
  const char* path = getenv("FLEETSEAL_SHIM_CONTROL");
  const char* below = getenv("FLEETSEAL_SHIM_DIRECTORY");
  if (path == NULL || below == NULL || strlen(below) >= sizeof directory) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return;
  int32_t nobody = 0;
  own_pid = getpid();
  struct Control* shared = mapped;
  if (!atomic_compare_exchange_strong(&shared->owner, &nobody, own_pid)) return;
  strcpy(directory, below);
  directory_size = strlen(directory);
  control = shared;
}

static int IsBelow(const char* path) {
  return strncmp(path, directory, directory_size) == 0 && (path[directory_size] == '/' || path[directory_size] == 0);
}

static int IsOn(void) { return control != NULL && atomic_load(&control->is_armed) != 0 && getpid() == own_pid; }

static int PathOfDescriptor(int fd, char* path) {
  char name[64];
  (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(name, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = 0;
  return size > 0;
}

static int IsWatchedDescriptor(int fd) {
  if (!IsOn()) return 0;
  const int before = errno;
  char path[PATH_MAX];
  const int is_below = PathOfDescriptor(fd, path) && IsBelow(path);
  errno = before;
  return is_below;
}

static int IsWatchedPath(int at, const char* path) {
  if (!IsOn() || path == NULL) return 0;
  if (path[0] == '/') return IsBelow(path);
  const int before = errno;
  char base[PATH_MAX] = "";
  int is_below = at == AT_FDCWD ? getcwd(base, sizeof base) != NULL : PathOfDescriptor(at, base);
  errno = before;
  return is_below && IsBelow(base);
}

enum Decision { kGo, kRefuse, kKillWhenDone, kHalve };

// A sandbox may forbid the signal; nothing of the process runs after exit_group() either.
static void Die(void) {
  (void)kill(own_pid, SIGKILL);
  for (;;) (void)syscall(SYS_exit_group, 128 + SIGKILL);
}

static enum Decision Decide(const char* name) {
  const int64_t number = atomic_fetch_add(&control->count, 1) + 1;
  const int64_t at = atomic_load(&control->at);
  const int mode = control->mode;
  if (mode == kCount || number < at || (number > at && mode != kFailFromThere)) return kGo;
  if (atomic_fetch_add(&control->fired, 1) == 0) strncpy(control->last, name, sizeof control->last - 1);
  if (mode == kKillBefore) Die();
  if (mode == kKillAfter) return kKillWhenDone;
  if (mode == kHalfThenKill) return kHalve;
  errno = control->error;
  return kRefuse;
}

#define REAL(type, name, ...)       \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, #name)

// The body of a call that has no bytes to halve.
#define FORWARD(is_watched, name, ...)          \
  if (!(is_watched)) return real(__VA_ARGS__);  \
  const enum Decision decision = Decide(#name); \
  if (decision == kRefuse) return -1;           \
  if (decision == kHalve) Die();                \
  const int outcome = real(__VA_ARGS__);        \
  if (decision == kKillWhenDone) Die();         \
  return outcome

#define FORWARD_BYTES(fd, name, half, ...)                    \
  if (!IsWatchedDescriptor(fd)) return real(fd, __VA_ARGS__); \
  const enum Decision decision = Decide(#name);               \
  if (decision == kRefuse) return -1;                         \
  if (decision == kHalve) {                                   \
    half;                                                     \
    Die();                                                    \
  }                                                           \
  const ssize_t outcome = real(fd, __VA_ARGS__);              \
  if (decision == kKillWhenDone) Die();                       \
  return outcome

ssize_t write(int fd, const void* bytes, size_t size) {
  REAL(ssize_t, write, int, const void*, size_t);
  FORWARD_BYTES(fd, write, (void)!real(fd, bytes, size / 2), bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  REAL(ssize_t, pwrite, int, const void*, size_t, off_t);
  FORWARD_BYTES(fd, pwrite, (void)!real(fd, bytes, size / 2, offset), bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  REAL(ssize_t, pwrite64, int, const void*, size_t, off64_t);
  FORWARD_BYTES(fd, pwrite64, (void)!real(fd, bytes, size / 2, offset), bytes, size, offset);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec*, int);
  FORWARD_BYTES(fd, writev, (void)!real(fd, parts, count / 2), parts, count);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  REAL(ssize_t, pwritev, int, const struct iovec*, int, off_t);
  FORWARD_BYTES(fd, pwritev, (void)!real(fd, parts, count / 2, offset), parts, count, offset);
}

int fsync(int fd) {
  REAL(int, fsync, int);
  FORWARD(IsWatchedDescriptor(fd), fsync, fd);
}
int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  FORWARD(IsWatchedDescriptor(fd), fdatasync, fd);
}
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  REAL(int, sync_file_range, int, off64_t, off64_t, unsigned);
  FORWARD(IsWatchedDescriptor(fd), sync_file_range, fd, offset, size, flags);
}
int ftruncate(int fd, off_t size) {
  REAL(int, ftruncate, int, off_t);
  FORWARD(IsWatchedDescriptor(fd), ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) {
  REAL(int, ftruncate64, int, off64_t);
  FORWARD(IsWatchedDescriptor(fd), ftruncate64, fd, size);
}
int fchmod(int fd, mode_t mode) {
  REAL(int, fchmod, int, mode_t);
  FORWARD(IsWatchedDescriptor(fd), fchmod, fd, mode);
}

int rename(const char* from, const char* to) {
  REAL(int, rename, const char*, const char*);
  FORWARD(IsWatchedPath(AT_FDCWD, to), rename, from, to);
}
int renameat(int from_at, const char* from, int to_at, const char* to) {
  REAL(int, renameat, int, const char*, int, const char*);
  FORWARD(IsWatchedPath(to_at, to), renameat, from_at, from, to_at, to);
}
int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  REAL(int, renameat2, int, const char*, int, const char*, unsigned);
  FORWARD(IsWatchedPath(to_at, to), renameat2, from_at, from, to_at, to, flags);
}
int link(const char* from, const char* to) {
  REAL(int, link, const char*, const char*);
  FORWARD(IsWatchedPath(AT_FDCWD, to), link, from, to);
}
int linkat(int from_at, const char* from, int to_at, const char* to, int flags) {
  REAL(int, linkat, int, const char*, int, const char*, int);
  FORWARD(IsWatchedPath(to_at, to), linkat, from_at, from, to_at, to, flags);
}
int unlink(const char* path) {
  REAL(int, unlink, const char*);
  FORWARD(IsWatchedPath(AT_FDCWD, path), unlink, path);
}
int unlinkat(int at, const char* path, int flags) {
  REAL(int, unlinkat, int, const char*, int);
  FORWARD(IsWatchedPath(at, path), unlinkat, at, path, flags);
}
int mkdir(const char* path, mode_t mode) {
  REAL(int, mkdir, const char*, mode_t);
  FORWARD(IsWatchedPath(AT_FDCWD, path), mkdir, path, mode);
}
int mkdirat(int at, const char* path, mode_t mode) {
  REAL(int, mkdirat, int, const char*, mode_t);
  FORWARD(IsWatchedPath(at, path), mkdirat, at, path, mode);
}
int mkostemp(char* path, int flags) {
  REAL(int, mkostemp, char*, int);
  FORWARD(IsWatchedPath(AT_FDCWD, path), mkostemp, path, flags);
}
int mkostemp64(char* path, int flags) {
  REAL(int, mkostemp64, char*, int);
  FORWARD(IsWatchedPath(AT_FDCWD, path), mkostemp64, path, flags);
}

// Only an open that may make or empty a file counts.
static mode_t ModeOf(int flags, va_list list) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}
static int ChangesFiles(int flags) { return (flags & (O_CREAT | O_TRUNC)) != 0; }

#define OPEN_MODE(flags)                   \
  va_list list;                            \
  va_start(list, flags);                   \
  const mode_t mode = ModeOf(flags, list); \
  va_end(list)

int open(const char* path, int flags, ...) {
  REAL(int, open, const char*, int, ...);
  OPEN_MODE(flags);
  FORWARD(ChangesFiles(flags) && IsWatchedPath(AT_FDCWD, path), open, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  REAL(int, open64, const char*, int, ...);
  OPEN_MODE(flags);
  FORWARD(ChangesFiles(flags) && IsWatchedPath(AT_FDCWD, path), open64, path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  REAL(int, openat, int, const char*, int, ...);
  OPEN_MODE(flags);
  FORWARD(ChangesFiles(flags) && IsWatchedPath(at, path), openat, at, path, flags, mode);
}
int openat64(int at, const char* path, int flags, ...) {
  REAL(int, openat64, int, const char*, int, ...);
  OPEN_MODE(flags);
  FORWARD(ChangesFiles(flags) && IsWatchedPath(at, path), openat64, at, path, flags, mode);
}
