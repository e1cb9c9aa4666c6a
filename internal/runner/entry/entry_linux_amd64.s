#include "textflag.h"
#include "entry_linux.h"

#define SYS_read 0
#define SYS_write 1
#define SYS_close 3
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_ioctl 16
#define SYS_getpid 39
#define SYS_shutdown 48
#define SYS_clone 56
#define SYS_execve 59
#define SYS_exit 60
#define SYS_wait4 61
#define SYS_fcntl 72
#define SYS_getuid 102
#define SYS_setpgid 109
#define SYS_getppid 110
#define SYS_rt_sigtimedwait 128
#define SYS_prctl 157
#define SYS_clock_gettime 228
#define SYS_dup3 292
#define SYS_prlimit64 302
#define SYS_close_range 436

// SYSCALL takes its number in AX and its arguments in DI, SI, DX, R10, R8, R9. It answers in AX and
// destroys CX and R11; all other registers keep their values, which the code below relies on. There
// is no runtime yet, or never will be: no stack but the kernel's, no g, no signal handler.
#define CALL0(nr) MOVL $nr, AX; SYSCALL
#define CALL2(nr, a, b) MOVQ a, DI; MOVQ b, SI; CALL0(nr)
#define CALL3(nr, a, b, c) MOVQ c, DX; CALL2(nr, a, b)
#define CALL4(nr, a, b, c, d) MOVQ d, R10; CALL3(nr, a, b, c)
#define FORK(flags) XORL R8, R8; CALL4(SYS_clone, $flags, $0, $0, $0)

// brs_exec_entry is where the kernel starts the program. argc is at 0(SP), argv at 8(SP). argv[0]
// says in which role it was started; package entry's doc lists them.
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CALL2(SYS_prctl, $PR_SET_DUMPABLE, $0) // in every role: what is in this memory is nobody's
	MOVQ	8(SP), SI
	TESTQ	SI, SI
	JZ	program // execve(2) without an argv[0]
	MOVQ	0(SI), BX // the role
	MOVQ	$SIGPROBE, AX
	CMPQ	BX, AX
	JNE	launcher
	CMPB	8(SI), $0
	JEQ	probe
	JMP	program
launcher:
	MOVQ	$BREXEC, AX
	CMPQ	BX, AX
	JEQ	launch
	MOVQ	$PTYKEEP, AX
	CMPQ	BX, AX
	JEQ	launch
	MOVQ	$BRSHOLD, AX
	CMPQ	BX, AX
	JNE	program
	CMPB	8(SI), $0
	JEQ	runtime // the holder: Go, with every signal blocked as it is

// The program itself: what the Go runtime changes is written down, then it starts. This uses the
// 160 bytes below SP and leaves SP as it was. R12 collects bits, R13 counts.
program:
	SUBQ	$160, SP
	MOVQ	$·limits(SB), R14
	MOVL	$LIMITS, R13
	CALL0(SYS_getuid)
	TESTL	AX, AX
	JNE	limit
	DECQ	R13 // the last limit isn't root's
limit:
	CALL4(SYS_prlimit64, $0, LIMIT_RESOURCE(R14), $0, $64(SP)) // struct rlimit64: the soft limit, the hard one
	MOVQ	LIMIT_KIND(R14), AX
	MOVQ	64(SP)(AX*8), AX
	CMPQ	AX, LIMIT_LEAST(R14)
	JCS	refused
	ADDQ	$LIMIT_SIZE, R14
	DECQ	R13
	JNZ	limit

	XORL	R12, R12 // the ignored signals
	MOVL	$64, R13
signals:
	CALL4(SYS_rt_sigaction, R13, $0, $64(SP), $8) // struct sigaction, 32 bytes; the handler comes first
	SHLQ	$1, R12
	CMPQ	64(SP), $1 // SIG_IGN
	JNE	next
	ORQ	$1, R12
next:
	DECQ	R13
	JNZ	signals
	MOVQ	R12, ·ignored(SB)

	MOVQ	$0, 64(SP) // an empty mask
	CALL4(SYS_rt_sigprocmask, $SIG_SETMASK, $64(SP), $·blocked(SB), $8)

	XORL	R12, R12 // the closed descriptors
	MOVL	$2, R13
descriptors:
	CALL2(SYS_fcntl, R13, $F_GETFD)
	SHLQ	$1, R12
	SHRQ	$63, AX // 1: an error, EBADF
	ORQ	AX, R12
	DECQ	R13
	JGE	descriptors
	MOVQ	R12, ·closed(SB)

	MOVQ	$1, ·seen(SB)
	ADDQ	$160, SP
runtime:
	JMP	_rt0_amd64_linux(SB)

refused: // the runtime would print a page, and exit with 2
	CALL3(SYS_write, $2, LIMIT_TEXT(R14), LIMIT_LENGTH(R14))
	CALL2(SYS_exit, $125, $0)

// A process that becomes the command, or (ptykeep) the leader of its session. R12 is the stack as
// the kernel made it, R13 the socket of argv[1]. The 256 bytes below are for words and orders at
// ORDERS(SP) and a struct sigaction at 192(SP).
launch:
	MOVQ	SP, R12
	SUBQ	$256, SP
	MOVQ	16(R12), SI // argv[1]
	XORL	R13, R13
digit:
	MOVBLZX	0(SI), AX
	SUBL	$48, AX // '0'
	JLT	socket
	IMULQ	$10, R13
	ADDQ	AX, R13
	INCQ	SI
	JMP	digit
socket:
	CALL3(SYS_fcntl, R13, $F_SETFD, $FD_CLOEXEC) // the command's exec tells our parent by closing it
	MOVQ	$PTYKEEP, AX
	CMPQ	BX, AX
	JEQ	keep

orders:
	CALL2(SYS_clock_gettime, $CLOCK_MONOTONIC, $(ORDERS+WORD_TIME)(SP))
	CALL0(SYS_getpid)
	MOVQ	AX, ORDERS(SP)
	CALL3(SYS_write, R13, $ORDERS(SP), $WORD_SIZE) // here we are: by this id our parent knows us
	CALL3(SYS_read, R13, $ORDERS(SP), $ORDERS_SIZE)
	CMPQ	AX, $ORDERS_SIZE
	JNE	exit // our parent has died, or doesn't want us any more

	MOVQ	ORDERS_IGNORED(SP), R14
	MOVQ	$0, 200(SP) // sa_flags, sa_restorer, sa_mask
	MOVQ	$0, 208(SP)
	MOVQ	$0, 216(SP)
	MOVL	$64, R15
action:
	MOVQ	R14, AX
	SHRQ	$63, AX // SIG_IGN is 1, SIG_DFL is 0
	MOVQ	AX, 192(SP)
	SHLQ	$1, R14
	CALL4(SYS_rt_sigaction, R15, $192(SP), $0, $8)
	DECQ	R15
	JNZ	action

	CALL2(SYS_prctl, $PR_SET_PDEATHSIG, ORDERS_DEATH(SP))
	CALL0(SYS_getppid)
	CMPQ	AX, ORDERS_PARENT(SP)
	JNE	exit // it died before the prctl: nobody told us

	MOVQ	0(R12), AX // argc
	LEAQ	16(R12)(AX*8), R14 // envp: past argc, argv and its NULL
	LEAQ	ORDERS_VARIABLES(SP), BX
	MOVQ	ORDERS_COUNT(SP), R15
variable:
	TESTQ	R15, R15
	JZ	unblock
	MOVQ	0(BX), AX // its place in envp
	LEAQ	VARIABLE_TEXT(BX), DX
	MOVQ	DX, (R14)(AX*8)
	ADDQ	$VARIABLE_SIZE, BX
	DECQ	R15
	JMP	variable

unblock: // what has come meanwhile takes effect here: it may end this process, or stop it
	CALL4(SYS_rt_sigprocmask, $SIG_SETMASK, $ORDERS_BLOCKED(SP), $0, $8)
	CALL3(SYS_execve, 24(R12), $32(R12), R14) // argv[2] with the arguments argv[3:]
	MOVQ	AX, ORDERS(SP) // the error, negative
	JMP	tell

// The leader of a session on the terminal 0. The command is its vfork(2) child but not its own:
// CLONE_PARENT gives it to our parent, who waits for it. The member is a third process.
keep:
	CALL2(SYS_prctl, $PR_SET_NAME, 8(R12))
	FORK(CLONE_PARENT|CLONE_VFORK|SIGCHLD)
	TESTQ	AX, AX
	JEQ	command
	MOVQ	AX, ORDERS(SP)
	JLT	tell
	MOVQ	AX, R14 // the command, which has begun or ended by now
	CALL3(SYS_dup3, R13, $0, $0)
	MOVL	$1, R15
	CALL	closeFrom<>(SB) // neither process may hold open what isn't theirs
	FORK(SIGCHLD)
	TESTQ	AX, AX
	JEQ	member
	JLT	alone // no room for it: only Ctrl-Z inside needs it
	CALL4(SYS_wait4, $-1, $0, $0, $0) // for the member
	JMP	exit

member:
	CALL2(SYS_prctl, $PR_SET_PDEATHSIG, $SIGKILL)
	CALL2(SYS_setpgid, $0, R14)
alone:
	MOVQ	$0, ORDERS(SP)
	CALL3(SYS_write, $0, $ORDERS(SP), $WORD_SIZE) // we are in place
	CALL3(SYS_read, $0, $ORDERS(SP), $1) // until nobody has the other end: brs-exec has died, or is done
	JMP	exit

command:
	CALL2(SYS_setpgid, $0, $0)
	CALL0(SYS_getpid)
	MOVQ	AX, ORDERS(SP)
	CALL3(SYS_ioctl, $0, $TIOCSPGRP, $ORDERS(SP)) // from the background: TTOU is blocked
	JMP	orders

tell:
	CALL3(SYS_write, R13, $ORDERS(SP), $WORD_SIZE)
exit:
	CALL2(SYS_exit, $253, $0)
	INT	$3

// The witness, on the socket 0, with every signal blocked. To each byte that it reads it answers
// with the siginfo_t of every signal that is pending, and one of zeros. siginfo_t is at 0(SP),
// sigset_t at 128(SP), timespec at 136(SP); R12 is rt_sigtimedwait's answer. argv[1] is a digit, the
// first descriptor that isn't its own (R14): the listeners that it keeps begin at 3.
probe:
	CALL2(SYS_prctl, $PR_SET_NAME, 8(SP))
	MOVQ	16(SP), SI
	TESTQ	SI, SI
	JZ	exit
	MOVBLZX	0(SI), R14
	SUBQ	$48, R14 // '0'
	MOVQ	R14, R15
	CALL	closeFrom<>(SB) // it may hold open nobody's pipe
	SUBQ	$160, SP
	MOVQ	$-1, 128(SP)
	MOVQ	$0, 136(SP)
	MOVQ	$0, 144(SP)
question:
	CALL3(SYS_read, $0, SP, $1)
	TESTQ	AX, AX
	JLE	hold
answer:
	CALL4(SYS_rt_sigtimedwait, $128(SP), SP, $136(SP), $8)
	MOVQ	AX, R12
	TESTQ	AX, AX
	JGT	report
	CMPQ	AX, $-4 // EINTR: it was stopped and continued
	JEQ	answer
	MOVL	$0, 0(SP)
report:
	CALL3(SYS_write, $0, SP, $SIGINFO_SIZE)
	TESTQ	AX, AX
	JLE	hold
	TESTQ	R12, R12
	JGT	answer
	JMP	question

// brs-exec was killed. Connections are refused from here on, and the port stays taken. A process
// can be read while it is executed anew, so this one has nothing: no environment, no argument.
hold:
	MOVL	$3, R13
refuse:
	CMPQ	R13, R14
	JGE	become
	CALL2(SYS_shutdown, R13, $SHUT_RD)
	INCQ	R13
	JMP	refuse
become:
	CMPQ	R14, $3
	JLE	exit // there is nothing to keep
	MOVQ	$1, 0(SP) // SIG_IGN; sa_flags, sa_restorer, sa_mask
	MOVQ	$0, 8(SP)
	MOVQ	$0, 16(SP)
	MOVQ	$0, 24(SP)
	MOVL	$64, R13
ignore: // what is pending goes with it: Go unblocks TERM and INT whatever it came with
	CALL4(SYS_rt_sigaction, R13, SP, $0, $8)
	DECQ	R13
	JNZ	ignore
	MOVQ	$holderName<>(SB), AX
	MOVQ	AX, 0(SP)
	MOVQ	$0, 8(SP)
	CALL3(SYS_execve, $holderPath<>(SB), SP, $8(SP))
	JMP	exit

// closeFrom closes every descriptor from R15 on.
TEXT closeFrom<>(SB),NOSPLIT|NOFRAME,$0
	CALL3(SYS_close_range, R15, $ALL, $0)
	TESTQ	AX, AX
	JEQ	closed
one: // before Linux 5.9
	CALL2(SYS_close, R15, $0)
	INCQ	R15
	CMPQ	R15, $MOST_FILES
	JLT	one
closed:
	RET
