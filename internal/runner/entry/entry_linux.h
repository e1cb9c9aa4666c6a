// What both processors have: the kernel's constants, and the layouts of package entry's types.

#define PR_SET_PDEATHSIG 1
#define PR_SET_DUMPABLE 4
#define PR_SET_NAME 15
#define SIG_SETMASK 2
#define SIGKILL 9
#define SIGCHLD 17
#define SIGINFO_SIZE 128
#define CLONE_VFORK 0x4000
#define CLONE_PARENT 0x8000
#define CLOCK_MONOTONIC 1
#define TIOCSPGRP 0x5410
#define F_GETFD 1
#define F_SETFD 2
#define FD_CLOEXEC 1
#define ALL 0xffffffff
#define SHUT_RD 0

// MOST_FILES is up to where descriptors are closed one by one, before Linux 5.9.
#define MOST_FILES 65536

// The first eight bytes of argv[0]: "sigprobe", "brs-hold", "br:exec" and "ptykeep" with their NUL.
#define SIGPROBE 0x65626f7270676973
#define BRSHOLD 0x646c6f682d737262
#define BREXEC 0x00636578653a7262
#define PTYKEEP 0x007065656b797470

// Words and orders are at ORDERS from the stack pointer.
#define ORDERS 0
#define ORDERS_IGNORED 0
#define ORDERS_BLOCKED 8
#define ORDERS_DEATH 16
#define ORDERS_PARENT 24
#define ORDERS_COUNT 32
#define ORDERS_VARIABLES 40
#define ORDERS_SIZE 160
#define VARIABLE_TEXT 8
#define VARIABLE_SIZE 40
#define LIMITS 3
#define LIMIT_RESOURCE 0
#define LIMIT_KIND 8
#define LIMIT_LEAST 16
#define LIMIT_TEXT 24
#define LIMIT_LENGTH 32
#define LIMIT_SIZE 40
#define WORD_TIME 8
#define WORD_SIZE 24

// What the witness executes to become the holder, and its argv[0].
DATA holderPath<>+0(SB)/8, $"/proc/se"
DATA holderPath<>+8(SB)/8, $"lf/exe\x00\x00"
GLOBL holderPath<>(SB), RODATA|NOPTR, $16
DATA holderName<>+0(SB)/8, $"brs-hold"
DATA holderName<>+8(SB)/8, $0
GLOBL holderName<>(SB), RODATA|NOPTR, $16
