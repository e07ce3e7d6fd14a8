/*
 * arguments.h: what an argument of a system call is, and the macros that table.def rows are made
 * of.
 *
 * FD(fd) expands to {ARG_FD, "fd"}. Only the table (syscall_table.c) expands rows; strace, coverage
 * and the support list read the types. The short macro names are why this header is included last.
 */
#pragma once

enum argument_type {
    ARG_NONE, /* end of the list */
    ARG_FD,
    ARG_DIRFD,
    ARG_PATH,
    ARG_STRING,
    ARG_STRING_ARRAY,
    ARG_IN_BUF,  /* length is the next argument */
    ARG_OUT_BUF, /* length is the result */
    ARG_IOVEC,   /* count is the next argument */
    ARG_PTR,
    ARG_SIZE,
    ARG_OFFSET,
    ARG_INT,
    ARG_UINT,
    ARG_HEX,
    ARG_MODE,
    ARG_ID,
    ARG_PID,
    ARG_SIGNAL,
    ARG_SIGSET,
    ARG_TIMESPEC,
    ARG_SOCKADDR, /* length is the next argument */
    ARG_OPEN_FLAGS,
    ARG_AT_FLAGS,
    ARG_MSG_FLAGS,
    ARG_ACCESS_MODE,
    ARG_CLOCK,
    ARG_RESOURCE,
    ARG_WAIT_OPTIONS,
    ARG_SOCKET_FAMILY,
    ARG_SOCKET_TYPE,
    ARG_PROT,
    ARG_MAP_FLAGS,
    ARG_MREMAP_FLAGS,
    ARG_MSYNC_FLAGS,
    ARG_MADVICE,
    ARG_WHENCE,
    ARG_SIGPROC_HOW,
    ARG_PRCTL,
    ARG_IOCTL,
    ARG_FUTEX_OP,
    ARG_FCNTL,
    ARG_CLONE_FLAGS,
    ARG_TYPE_COUNT,
};

struct syscall_argument {
    enum argument_type type;
    const char *name;
};

#define FD(n)                                                                                      \
    {                                                                                              \
        ARG_FD, #n                                                                                 \
    }
#define DIRFD(n)                                                                                   \
    {                                                                                              \
        ARG_DIRFD, #n                                                                              \
    }
#define PATH(n)                                                                                    \
    {                                                                                              \
        ARG_PATH, #n                                                                               \
    }
#define STRING(n)                                                                                  \
    {                                                                                              \
        ARG_STRING, #n                                                                             \
    }
#define STRING_ARRAY(n)                                                                            \
    {                                                                                              \
        ARG_STRING_ARRAY, #n                                                                       \
    }
#define IN_BUF(n)                                                                                  \
    {                                                                                              \
        ARG_IN_BUF, #n                                                                             \
    }
#define OUT_BUF(n)                                                                                 \
    {                                                                                              \
        ARG_OUT_BUF, #n                                                                            \
    }
#define IOVEC(n)                                                                                   \
    {                                                                                              \
        ARG_IOVEC, #n                                                                              \
    }
#define PTR(n)                                                                                     \
    {                                                                                              \
        ARG_PTR, #n                                                                                \
    }
#define SIZE(n)                                                                                    \
    {                                                                                              \
        ARG_SIZE, #n                                                                               \
    }
#define OFFSET(n)                                                                                  \
    {                                                                                              \
        ARG_OFFSET, #n                                                                             \
    }
#define INT(n)                                                                                     \
    {                                                                                              \
        ARG_INT, #n                                                                                \
    }
#define UINT(n)                                                                                    \
    {                                                                                              \
        ARG_UINT, #n                                                                               \
    }
#define HEX(n)                                                                                     \
    {                                                                                              \
        ARG_HEX, #n                                                                                \
    }
#define MODE(n)                                                                                    \
    {                                                                                              \
        ARG_MODE, #n                                                                               \
    }
#define ID(n)                                                                                      \
    {                                                                                              \
        ARG_ID, #n                                                                                 \
    }
#define PID(n)                                                                                     \
    {                                                                                              \
        ARG_PID, #n                                                                                \
    }
#define SIGNAL(n)                                                                                  \
    {                                                                                              \
        ARG_SIGNAL, #n                                                                             \
    }
#define SIGSET(n)                                                                                  \
    {                                                                                              \
        ARG_SIGSET, #n                                                                             \
    }
#define TIMESPEC(n)                                                                                \
    {                                                                                              \
        ARG_TIMESPEC, #n                                                                           \
    }
#define SOCKADDR(n)                                                                                \
    {                                                                                              \
        ARG_SOCKADDR, #n                                                                           \
    }
#define OPEN_FLAGS(n)                                                                              \
    {                                                                                              \
        ARG_OPEN_FLAGS, #n                                                                         \
    }
#define AT_FLAGS(n)                                                                                \
    {                                                                                              \
        ARG_AT_FLAGS, #n                                                                           \
    }
#define MSG_FLAGS(n)                                                                               \
    {                                                                                              \
        ARG_MSG_FLAGS, #n                                                                          \
    }
#define ACCESS_MODE(n)                                                                             \
    {                                                                                              \
        ARG_ACCESS_MODE, #n                                                                        \
    }
#define CLOCK(n)                                                                                   \
    {                                                                                              \
        ARG_CLOCK, #n                                                                              \
    }
#define RESOURCE(n)                                                                                \
    {                                                                                              \
        ARG_RESOURCE, #n                                                                           \
    }
#define WAIT_OPTIONS(n)                                                                            \
    {                                                                                              \
        ARG_WAIT_OPTIONS, #n                                                                       \
    }
#define SOCKET_FAMILY(n)                                                                           \
    {                                                                                              \
        ARG_SOCKET_FAMILY, #n                                                                      \
    }
#define SOCKET_TYPE(n)                                                                             \
    {                                                                                              \
        ARG_SOCKET_TYPE, #n                                                                        \
    }
#define PROT(n)                                                                                    \
    {                                                                                              \
        ARG_PROT, #n                                                                               \
    }
#define MAP_FLAGS(n)                                                                               \
    {                                                                                              \
        ARG_MAP_FLAGS, #n                                                                          \
    }
#define MREMAP_FLAGS(n)                                                                            \
    {                                                                                              \
        ARG_MREMAP_FLAGS, #n                                                                       \
    }
#define MSYNC_FLAGS(n)                                                                             \
    {                                                                                              \
        ARG_MSYNC_FLAGS, #n                                                                        \
    }
#define MADVICE(n)                                                                                 \
    {                                                                                              \
        ARG_MADVICE, #n                                                                            \
    }
#define WHENCE(n)                                                                                  \
    {                                                                                              \
        ARG_WHENCE, #n                                                                             \
    }
#define SIGPROC_HOW(n)                                                                             \
    {                                                                                              \
        ARG_SIGPROC_HOW, #n                                                                        \
    }
#define PRCTL(n)                                                                                   \
    {                                                                                              \
        ARG_PRCTL, #n                                                                              \
    }
#define IOCTL(n)                                                                                   \
    {                                                                                              \
        ARG_IOCTL, #n                                                                              \
    }
#define FUTEX_OP(n)                                                                                \
    {                                                                                              \
        ARG_FUTEX_OP, #n                                                                           \
    }
#define FCNTL(n)                                                                                   \
    {                                                                                              \
        ARG_FCNTL, #n                                                                              \
    }
#define CLONE_FLAGS(n)                                                                             \
    {                                                                                              \
        ARG_CLONE_FLAGS, #n                                                                        \
    }
