#include "sys/system_call_filter.h"

#include <linux/fs.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "sys/errors.h"

namespace fleetseal::sys {
namespace {

// clang-format off
constexpr const char* kFiles[] = {
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "open",
    "openat", "openat2", "creat", "close", "close_range", "stat", "fstat", "lstat", "newfstatat", "fstatat64", "statx",
    "statfs", "fstatfs", "statfs64", "fstatfs64", "access", "faccessat", "faccessat2", "lseek", "_llseek", "readlink",
    "readlinkat", "getdents", "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat",
    "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "utimensat", "futimesat", "truncate",
    "ftruncate", "fallocate", "fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "flock", "fcntl", "fcntl64",
    "fadvise64", "fadvise64_64", "readahead", "copy_file_range", "sendfile", "sendfile64", "splice", "tee", "vmsplice",
    "getcwd", "chdir", "fchdir", "umask", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr",
    "flistxattr", "dup", "dup2", "dup3", "pipe", "pipe2", "memfd_create", "inotify_init1", "inotify_add_watch",
    "inotify_rm_watch"};
constexpr const char* kWaiting[] = {
    "poll", "ppoll", "select", "_newselect", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "nanosleep", "clock_nanosleep", "pause", "alarm", "setitimer", "getitimer", "timer_create",
    "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete"};
constexpr const char* kMemoryAndThreads[] = {
    "munmap", "mremap", "madvise", "brk", "mlock", "mlock2", "munlock", "mincore", "msync", "membarrier", "futex",
    "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "arch_prctl", "gettid", "tgkill",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_max", "sched_get_priority_min", "getcpu", "restart_syscall", "exit", "exit_group",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "rt_sigsuspend",
    "sigreturn", "sigaltstack"};
constexpr const char* kQuestions[] = {
    "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "getrandom", "uname", "sysinfo",
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getpgrp",
    "getpgid", "getsid", "getrlimit", "ugetrlimit", "getpriority", "capget"};
constexpr const char* kSockets[] = {
    "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "send", "recv", "recvfrom",
    "recvmsg", "recvmmsg", "shutdown", "getsockopt", "setsockopt"};
// Our own spawning, and what a shell, a script and the usual small tools ask for.
constexpr const char* kPrograms[] = {
    "execve", "execveat", "fork", "vfork", "wait4", "waitid", "kill", "tkill", "pidfd_open",
    "pidfd_send_signal", "setpgid", "setsid", "setrlimit", "prlimit64", "prctl", "ioctl", "mmap", "mmap2", "mprotect",
    "setpriority", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid",
    "setfsgid", "sched_setscheduler", "sched_setparam", "sched_getattr", "sched_setattr", "ioprio_get", "ioprio_set",
    "rt_sigqueueinfo", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp",
    "capset", "pkey_alloc", "pkey_free", "pkey_mprotect", "mlockall", "munlockall"};
constexpr const char* kDeadly[] = {
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "bpf",
    "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "mount", "umount", "umount2", "move_mount",
    "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot", "setns",
    "unshare", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
    "reboot", "swapon", "swapoff", "settimeofday", "stime", "clock_settime", "acct", "quotactl", "iopl", "ioperm",
    "open_by_handle_at", "lookup_dcookie", "sethostname", "setdomainname", "nfsservctl", "vhangup"};
// clang-format on
constexpr unsigned long kIoctls[] = {FIONREAD, FIONBIO,    FIOCLEX,      FIONCLEX,  FIOASYNC,
                                     TCGETS,   TIOCGWINSZ, BLKGETSIZE64, BLKSSZGET, FICLONE};
constexpr int kPrctls[] = {PR_SET_NAME,         PR_GET_NAME,    PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
                           PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_CAPBSET_READ, 0x53564d41 /* PR_SET_VMA */};
constexpr uint16_t kNamePort = 53;
constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                 CLONE_NEWNET | CLONE_NEWCGROUP | 0x80U /* CLONE_NEWTIME */;

// The argument of that number is `value`; its bits of `mask` are `value`.
scmp_arg_cmp Equals(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp Bits(unsigned argument, uint64_t mask, uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {
    if (!context_) {
      error_ = ENOMEM;
      return;
    }
    Keep(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1));
    // A binary tree instead of a list: few steps for each call.
    Keep(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  }

  template <size_t count>
  void AllowAll(const char* const (&names)[count]) {
    for (const char* name : names) Add(SCMP_ACT_ALLOW, name, {});
  }
  template <size_t count>
  void KillAll(const char* const (&names)[count]) {
    for (const char* name : names) Add(SCMP_ACT_KILL_PROCESS, name, {});
  }
  void Allow(const char* name, std::initializer_list<scmp_arg_cmp> when) { Add(SCMP_ACT_ALLOW, name, when); }
  void Refuse(const char* name, int error) { Add(SCMP_ACT_ERRNO(static_cast<uint16_t>(error)), name, {}); }

  Status Enter() {
    if (error_ == 0) Keep(seccomp_load(context_.get()));
    if (error_ == 0) return {};
    return Fail(ErrorCode::kInternal,
                std::string("the kernel does not take the system call filter: ") + std::strerror(error_));
  }

 private:
  void Keep(int outcome) {
    if (outcome < 0 && error_ == 0) error_ = -outcome;
  }
  void Add(uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> when) {
    if (error_ != 0) return;
    const int number = seccomp_syscall_resolve_name(name);
    // Not of this architecture, or younger than the library: stays refused.
    if (number == __NR_SCMP_ERROR) return;
    Keep(seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(when.size()), when.begin()));
  }

  std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int error_ = 0;
};

// Landlock judges TCP alone: another protocol would connect to any port.
void AllowInternet(Filter& filter, const SandboxPolicy& policy) {
  constexpr uint64_t kTypeBits = 0xf;
  // Names are asked for over UDP; who asks for none has no use for it.
  const bool has_names =
      !policy.connect_ports || std::ranges::find(*policy.connect_ports, kNamePort) != policy.connect_ports->end();
  for (const uint64_t family : {uint64_t{AF_INET}, uint64_t{AF_INET6}}) {
    for (const uint64_t protocol : {uint64_t{0}, uint64_t{IPPROTO_TCP}})
      filter.Allow("socket", {Equals(0, family), Bits(1, kTypeBits, SOCK_STREAM), Equals(2, protocol)});
    if (!has_names) continue;
    for (const uint64_t protocol : {uint64_t{0}, uint64_t{IPPROTO_UDP}})
      filter.Allow("socket", {Equals(0, family), Bits(1, kTypeBits, SOCK_DGRAM), Equals(2, protocol)});
  }
  // Routes, protocol 0: the resolver asks which kinds of address this machine has.
  filter.Allow("socket", {Equals(0, AF_NETLINK), Equals(2, 0)});
}

void AllowSockets(Filter& filter, const SandboxPolicy& policy) {
  filter.AllowAll(kSockets);
  // With this flag, sending connects, and Landlock is not asked.
  filter.Allow("sendto", {Bits(3, MSG_FASTOPEN, 0)});
  filter.Allow("sendmsg", {Bits(2, MSG_FASTOPEN, 0)});
  filter.Allow("sendmmsg", {Bits(3, MSG_FASTOPEN, 0)});
  filter.Allow("socket", {Equals(0, AF_UNIX)});
  filter.Allow("socketpair", {Equals(0, AF_UNIX)});
  if (policy.has_internet) AllowInternet(filter, policy);
}

// No page is ever writable and executable, and none becomes executable later; threads, but no processes.
void AllowWithinOneProgram(Filter& filter) {
  for (const char* name : {"mmap", "mmap2"}) {
    filter.Allow(name, {Bits(2, PROT_EXEC, 0)});
    filter.Allow(name, {Bits(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)});
  }
  filter.Allow("mprotect", {Bits(2, PROT_EXEC, 0)});
  filter.Allow("clone", {Bits(0, kNamespaces | CLONE_THREAD, CLONE_THREAD)});
  filter.Allow("prlimit64", {Equals(2, 0)});
  // Itself only, as abort() and tests do.
  filter.Allow("kill", {Equals(0, static_cast<uint64_t>(getpid()))});
  for (const unsigned long request : kIoctls) filter.Allow("ioctl", {Equals(1, request & 0xffffffffU)});
  for (const int option : kPrctls) filter.Allow("prctl", {Equals(0, static_cast<uint32_t>(option))});
}

bool HasSeccomp() {
  // EINVAL: the kernel was built without it.
  return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 || errno != EINVAL;
}

}  // namespace

Result<bool> EnterSystemCallFilter(const SandboxPolicy& policy) {
  if (!HasSeccomp()) return false;
  Filter filter;
  filter.AllowAll(kFiles);
  filter.AllowAll(kWaiting);
  filter.AllowAll(kMemoryAndThreads);
  filter.AllowAll(kQuestions);
  AllowSockets(filter, policy);
  if (policy.is_executing) {
    filter.AllowAll(kPrograms);
    filter.Allow("clone", {Bits(0, kNamespaces, 0)});
  } else {
    AllowWithinOneProgram(filter);
  }
  filter.Refuse("clone3", ENOSYS);
  filter.KillAll(kDeadly);
  TRY(filter.Enter());
  return true;
}

}  // namespace fleetseal::sys
