#include "textflag.h"

#define SYS_read 0
#define SYS_write 1
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_exit 60
#define SYS_fcntl 72
#define SYS_rt_sigtimedwait 128
#define SYS_prctl 157
#define SYS_prlimit64 302

// brs_exec_entry runs before the Go runtime, on the stack that the kernel made:
// argc is at 0(SP). It uses the 160 bytes below, and leaves SP as it was.
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$4, DI // PR_SET_DUMPABLE
	XORL	SI, SI
	MOVL	$SYS_prctl, AX
	SYSCALL

	MOVQ	8(SP), SI // argv[0]
	TESTQ	SI, SI
	JZ	program
	MOVQ	$0x65626f7270676973, AX // "sigprobe"
	CMPQ	0(SI), AX
	JNE	program
	CMPB	8(SI), $0
	JEQ	probe

program:
	SUBQ	$160, SP
	XORL	R12, R12 // the ignored signals
	MOVL	$64, R13
signals:
	MOVQ	R13, DI
	XORL	SI, SI
	LEAQ	64(SP), DX // struct sigaction, 32 bytes
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	SHLQ	$1, R12
	CMPQ	64(SP), $1 // SIG_IGN
	JNE	next
	ORQ	$1, R12
next:
	DECQ	R13
	JNZ	signals
	MOVQ	R12, ·entryIgnored(SB)

	MOVQ	$0, 64(SP)
	MOVL	$2, DI // SIG_SETMASK
	LEAQ	64(SP), SI
	LEAQ	·entryBlocked(SB), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigprocmask, AX
	SYSCALL

	XORL	R12, R12 // the closed descriptors
	MOVL	$2, R13
descriptors:
	MOVQ	R13, DI
	MOVL	$1, SI // F_GETFD
	MOVL	$SYS_fcntl, AX
	SYSCALL
	SHLQ	$1, R12
	SHRQ	$63, AX // 1: EBADF
	ORQ	AX, R12
	DECQ	R13
	JGE	descriptors
	MOVQ	R12, ·entryClosed(SB)

	XORL	DI, DI
	MOVL	$7, SI // RLIMIT_NOFILE
	XORL	DX, DX
	LEAQ	·entryNofile(SB), R10
	MOVL	$SYS_prlimit64, AX
	SYSCALL

	MOVQ	$1, ·entrySeen(SB)
	ADDQ	$160, SP
	JMP	_rt0_amd64_linux(SB)

// The probe: see probe_linux.go. It was started with all signals blocked. To each
// byte that it reads it answers with the siginfo_t of every signal that is pending,
// and one of zeros. argv[0] is in SI.
probe:
	MOVL	$15, DI // PR_SET_NAME
	MOVL	$SYS_prctl, AX
	SYSCALL
	SUBQ	$160, SP // siginfo_t at 0, sigset_t at 128, timespec at 136
	MOVQ	$-1, 128(SP)
	MOVQ	$0, 136(SP)
	MOVQ	$0, 144(SP)
question:
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$1, DX
	MOVL	$SYS_read, AX
	SYSCALL
	TESTQ	AX, AX
	JLE	gone
answer:
	LEAQ	128(SP), DI
	MOVQ	SP, SI
	LEAQ	136(SP), DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigtimedwait, AX
	SYSCALL
	MOVQ	AX, R12
	TESTQ	AX, AX
	JGT	tell
	CMPQ	AX, $-4 // EINTR: it was stopped and continued
	JEQ	answer
	MOVL	$0, 0(SP)
tell:
	XORL	DI, DI
	MOVQ	SP, SI
	MOVL	$128, DX
	MOVL	$SYS_write, AX
	SYSCALL
	TESTQ	AX, AX
	JLE	gone
	TESTQ	R12, R12
	JGT	answer
	JMP	question
gone:
	XORL	DI, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	INT	$3
