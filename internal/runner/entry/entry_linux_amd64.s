#include "textflag.h"

#define SYS_read 0
#define SYS_write 1
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_ioctl 16
#define SYS_getpid 39
#define SYS_clone 56
#define SYS_execve 59
#define SYS_exit 60
#define SYS_wait4 61
#define SYS_fcntl 72
#define SYS_setpgid 109
#define SYS_getppid 110
#define SYS_rt_sigtimedwait 128
#define SYS_prctl 157
#define SYS_clock_gettime 228
#define SYS_dup3 292
#define SYS_close_range 436

#define PR_SET_PDEATHSIG 1
#define PR_SET_DUMPABLE 4
#define PR_SET_NAME 15
#define PR_SET_CHILD_SUBREAPER 36
#define SIGKILL 9
#define SIGCHLD 17
#define CLONE_VFORK 0x4000
#define CLONE_PARENT 0x8000
#define TIOCSPGRP 0x5410

// The layout of type orders, and of its variables.
#define ORDERS_IGNORED 0
#define ORDERS_BLOCKED 8
#define ORDERS_DEATH 16
#define ORDERS_PARENT 24
#define ORDERS_SUBREAPER 32
#define ORDERS_COUNT 40
#define ORDERS_VARIABLES 48
#define ORDERS_SIZE 168
#define VARIABLE_TEXT 8
#define VARIABLE_SIZE 40

// The layout of type word.
#define WORD_TIME 8
#define WORD_SIZE 24

// SYSCALL takes its number in AX and its arguments in DI, SI, DX, R10, R8, R9. It answers in AX
// and destroys CX and R11; all other registers keep their values, which the code below relies on.
// There is no runtime yet, or never will be: no stack but the kernel's, no g, no signal handler.
#define CALL(nr) MOVL $nr, AX; SYSCALL

// brs_exec_entry is where the kernel starts the program. argc is at 0(SP), argv at 8(SP).
// argv[0] says in which role it was started; package entry's doc lists them.
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	$PR_SET_DUMPABLE, DI // in every role: what is in this memory is nobody's
	XORL	SI, SI
	CALL(SYS_prctl)

	MOVQ	8(SP), SI
	TESTQ	SI, SI
	JZ	program // execve(2) without an argv[0]
	MOVQ	0(SI), DX
	MOVQ	$0x65626f7270676973, AX // "sigprobe", of which the NUL follows
	CMPQ	DX, AX
	JNE	launcher
	CMPB	8(SI), $0
	JEQ	probe
	JMP	program
launcher:
	MOVQ	$0x00636578653a7262, AX // "br:exec\0"
	CMPQ	DX, AX
	JEQ	launch
	MOVQ	$0x007065656b797470, AX // "ptykeep\0"
	CMPQ	DX, AX
	JEQ	launch

// The program itself: what the Go runtime changes is written down, then it starts. It uses the
// 160 bytes below SP and leaves SP as it was. R12 collects bits, R13 counts.
program:
	SUBQ	$160, SP
	XORL	R12, R12 // the ignored signals
	MOVL	$64, R13
signals:
	MOVQ	R13, DI
	XORL	SI, SI
	LEAQ	64(SP), DX // struct sigaction, 32 bytes; the handler comes first
	MOVL	$8, R10 // sizeof(sigset_t)
	CALL(SYS_rt_sigaction)
	SHLQ	$1, R12
	CMPQ	64(SP), $1 // SIG_IGN
	JNE	next
	ORQ	$1, R12
next:
	DECQ	R13
	JNZ	signals
	MOVQ	R12, ·ignored(SB)

	MOVQ	$0, 64(SP) // an empty mask
	MOVL	$2, DI // SIG_SETMASK
	LEAQ	64(SP), SI
	LEAQ	·blocked(SB), DX
	MOVL	$8, R10
	CALL(SYS_rt_sigprocmask)

	XORL	R12, R12 // the closed descriptors
	MOVL	$2, R13
descriptors:
	MOVQ	R13, DI
	MOVL	$1, SI // F_GETFD
	CALL(SYS_fcntl)
	SHLQ	$1, R12
	SHRQ	$63, AX // 1: an error, EBADF
	ORQ	AX, R12
	DECQ	R13
	JGE	descriptors
	MOVQ	R12, ·closed(SB)

	MOVQ	$1, ·seen(SB)
	ADDQ	$160, SP
	JMP	_rt0_amd64_linux(SB)

// A process that becomes the command, or (ptykeep) the leader of its session. R12 is the stack
// as the kernel made it, R13 the socket of argv[1]; the 256 bytes below are for orders at 0(SP)
// and a struct sigaction at 192(SP).
launch:
	MOVQ	SP, R12
	SUBQ	$256, SP
	MOVQ	DX, BX // the role
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
	MOVQ	R13, DI
	MOVL	$2, SI // F_SETFD
	MOVL	$1, DX // FD_CLOEXEC: the command's exec tells our parent by closing it
	CALL(SYS_fcntl)
	MOVQ	$0x007065656b797470, AX // "ptykeep\0"
	CMPQ	BX, AX
	JEQ	keep

orders:
	MOVL	$1, DI // CLOCK_MONOTONIC
	LEAQ	WORD_TIME(SP), SI
	CALL(SYS_clock_gettime)
	CALL(SYS_getpid)
	MOVQ	AX, 0(SP)
	MOVQ	R13, DI
	MOVQ	SP, SI
	MOVL	$WORD_SIZE, DX
	CALL(SYS_write) // here we are: by this id our parent knows us
	MOVQ	R13, DI
	MOVQ	SP, SI
	MOVL	$ORDERS_SIZE, DX
	CALL(SYS_read)
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
	MOVQ	R15, DI
	LEAQ	192(SP), SI
	XORL	DX, DX
	MOVL	$8, R10
	CALL(SYS_rt_sigaction)
	DECQ	R15
	JNZ	action

	MOVL	$PR_SET_PDEATHSIG, DI
	MOVQ	ORDERS_DEATH(SP), SI
	CALL(SYS_prctl)
	CALL(SYS_getppid)
	CMPQ	AX, ORDERS_PARENT(SP)
	JNE	exit // it died before the line above: nobody told us
	MOVL	$PR_SET_CHILD_SUBREAPER, DI
	MOVQ	ORDERS_SUBREAPER(SP), SI
	CALL(SYS_prctl)

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
	MOVL	$2, DI // SIG_SETMASK
	LEAQ	ORDERS_BLOCKED(SP), SI
	XORL	DX, DX
	MOVL	$8, R10
	CALL(SYS_rt_sigprocmask)
	MOVQ	24(R12), DI // argv[2]: the file
	LEAQ	32(R12), SI // argv[3:]: its arguments
	MOVQ	R14, DX
	CALL(SYS_execve)
	MOVQ	AX, 0(SP) // the error, negative
	JMP	tell

// The leader of a session on the terminal 0. The command is its vfork(2) child but not its own:
// CLONE_PARENT gives it to our parent, who waits for it. The member is a third process.
keep:
	MOVL	$PR_SET_NAME, DI
	MOVQ	8(R12), SI
	CALL(SYS_prctl)
	MOVL	$(CLONE_PARENT|CLONE_VFORK|SIGCHLD), DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	CALL(SYS_clone)
	TESTQ	AX, AX
	JEQ	command
	MOVQ	AX, 0(SP)
	JLT	tell
	MOVQ	AX, R14 // the command, which has begun or ended by now
	// From here on neither process may hold open what isn't theirs.
	MOVQ	R13, DI
	XORL	SI, SI
	XORL	DX, DX
	CALL(SYS_dup3)
	MOVL	$1, DI
	MOVL	$0xffffffff, SI
	XORL	DX, DX
	CALL(SYS_close_range)
	MOVL	$SIGCHLD, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	CALL(SYS_clone)
	TESTQ	AX, AX
	JEQ	member
	MOVQ	$-1, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	CALL(SYS_wait4) // for the member
	JMP	exit

member:
	MOVL	$PR_SET_PDEATHSIG, DI
	MOVL	$SIGKILL, SI
	CALL(SYS_prctl)
	XORL	DI, DI
	MOVQ	R14, SI
	CALL(SYS_setpgid)
	MOVQ	$0, 0(SP)
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$WORD_SIZE, DX
	CALL(SYS_write) // we are in place
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$1, DX
	CALL(SYS_read) // until nobody has the other end: our grandparent has died, or is done
	JMP	exit

command:
	XORL	DI, DI
	XORL	SI, SI
	CALL(SYS_setpgid)
	CALL(SYS_getpid)
	MOVQ	AX, 0(SP)
	XORL	DI, DI
	MOVL	$TIOCSPGRP, SI
	MOVQ	SP, DX
	CALL(SYS_ioctl) // from the background: TTOU is blocked
	JMP	orders

tell:
	MOVQ	R13, DI
	MOVQ	SP, SI
	MOVL	$WORD_SIZE, DX
	CALL(SYS_write)
exit:
	MOVL	$253, DI
	CALL(SYS_exit)
	INT	$3

// The witness, on the socket 0, with every signal blocked. To each byte that it reads it answers
// with the siginfo_t of every signal that is pending, and one of zeros. siginfo_t is at 0(SP),
// sigset_t at 128(SP), timespec at 136(SP); R12 is rt_sigtimedwait's answer.
probe:
	MOVL	$PR_SET_NAME, DI
	CALL(SYS_prctl) // argv[0] is in SI
	MOVL	$3, DI // it may hold open nobody's pipe; 1 and 2 are the socket, too
	MOVL	$0xffffffff, SI
	XORL	DX, DX
	CALL(SYS_close_range)
	SUBQ	$160, SP
	MOVQ	$-1, 128(SP)
	MOVQ	$0, 136(SP)
	MOVQ	$0, 144(SP)
question:
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$1, DX
	CALL(SYS_read)
	TESTQ	AX, AX
	JLE	exit
answer:
	LEAQ	128(SP), DI
	MOVQ	SP, SI
	LEAQ	136(SP), DX
	MOVL	$8, R10
	CALL(SYS_rt_sigtimedwait)
	MOVQ	AX, R12
	TESTQ	AX, AX
	JGT	report
	CMPQ	AX, $-4 // EINTR: it was stopped and continued
	JEQ	answer
	MOVL	$0, 0(SP)
report:
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$128, DX
	CALL(SYS_write)
	TESTQ	AX, AX
	JLE	exit
	TESTQ	R12, R12
	JGT	answer
	JMP	question
