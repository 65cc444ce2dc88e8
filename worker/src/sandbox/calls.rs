//! The system calls that node, qwen, ripgrep and a shell make; no others are answered.

use libc::*;

/// Allowed whatever their arguments are: what they reach is Landlock's or the mount namespace's to say.
#[rustfmt::skip]
pub(super) const ALWAYS: &[c_long] = &[
    // Files and folders.
    SYS_openat, SYS_openat2, SYS_close, SYS_close_range, SYS_dup, SYS_dup3, SYS_pipe2,
    SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2,
    SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2,
    SYS_lseek, SYS_sendfile, SYS_splice, SYS_copy_file_range, SYS_fadvise64, SYS_readahead,
    SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_fsync, SYS_fdatasync,
    SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat, SYS_faccessat2,
    SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_umask,
    SYS_mkdirat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
    // Memory.
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_mincore, SYS_msync,
    SYS_membarrier, SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect,
    // Processes and threads.
    SYS_execve, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, SYS_set_tid_address,
    SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_futex, SYS_restart_syscall,
    SYS_setpgid, SYS_setsid, SYS_getpgid, SYS_getsid, SYS_getpid, SYS_getppid, SYS_gettid,
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getgroups, SYS_getresuid, SYS_getresgid,
    SYS_capget, SYS_uname, SYS_sysinfo, SYS_getrandom, SYS_getcpu, SYS_getrusage, SYS_getpriority,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
    SYS_sched_get_priority_max, SYS_sched_get_priority_min,
    // Signals to oneself, waiting and time.
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend, SYS_sigaltstack, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_pwait2, SYS_ppoll, SYS_pselect6, SYS_eventfd2, SYS_nanosleep, SYS_clock_nanosleep,
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_times,
    // Sockets that are there.
    SYS_connect, SYS_recvfrom, SYS_recvmsg, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
    SYS_shutdown,
];

/// What x86-64 has besides, for the same purposes.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
pub(super) const LEGACY: &[c_long] = &[
    SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir,
    SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_getdents, SYS_pipe, SYS_dup2, SYS_poll,
    SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_fork, SYS_vfork, SYS_getpgrp,
    SYS_pause, SYS_time, SYS_arch_prctl, SYS_getrlimit, SYS_setrlimit,
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const LEGACY: &[c_long] = &[];

/// Answered as if done, and not done: qwen sets rights and times of its own files and ends where it may not. No filter
/// can tell its own files from those that it may only read.
#[rustfmt::skip]
pub(super) const PRETENDED: &[c_long] = &[
    SYS_fchmod, SYS_fchmodat, SYS_fchmodat2, SYS_utimensat,
];

/// What x86-64 has besides.
#[cfg(target_arch = "x86_64")]
pub(super) const PRETENDED_LEGACY: &[c_long] = &[SYS_chmod, SYS_utime, SYS_utimes, SYS_futimesat];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const PRETENDED_LEGACY: &[c_long] = &[];

/// Signals to others, where something else keeps them within the sandbox.
pub(super) const SIGNALS: &[c_long] = &[SYS_kill, SYS_tgkill];

/// Nothing that changes a file's flags, and nothing that types into a terminal.
#[rustfmt::skip]
pub(super) const IOCTLS: &[c_ulong] = &[
    TCGETS as c_ulong, TCGETS2 as c_ulong, TIOCGWINSZ as c_ulong, FIONBIO as c_ulong,
    FIONREAD as c_ulong, FIOCLEX as c_ulong, FIONCLEX as c_ulong, FICLONE as c_ulong,
];

/// No leases, no notifications, no owner to be signalled.
#[rustfmt::skip]
pub(super) const FCNTLS: &[c_int] = &[
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW,
    F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GETPIPE_SZ, F_SETPIPE_SZ,
];

/// Names of threads and of memory.
pub(super) const PRCTLS: &[c_int] = &[PR_SET_NAME, PR_GET_NAME, PR_SET_VMA];

/// The `clone` flags that make namespaces. That of `CLONE_NEWTIME` means something else here.
#[rustfmt::skip]
pub(super) const NAMESPACES: c_int = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC
    | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
