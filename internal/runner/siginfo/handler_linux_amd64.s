#include "textflag.h"

#define SYS_write 1
#define SYS_rt_sigreturn 15
#define SYS_clock_gettime 228
#define SIGINFO_SIZE 128
#define SIGINFO_CODE 8
#define SIGINFO_AT 112

// handler(signo DI, *siginfo_t SI, *ucontext_t DX) is called by the kernel on any thread, on its
// signal stack. The kernel puts all registers back afterwards. A full pipe (the wrapper doesn't
// run) loses the signal, as a full queue would.
TEXT handler<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	SI, R12
	MOVL	$1, DI // CLOCK_MONOTONIC
	LEAQ	SIGINFO_AT(R12), SI
	MOVL	$SYS_clock_gettime, AX
	SYSCALL
	MOVL	·pipe(SB), DI
	MOVQ	R12, SI
	MOVL	$SIGINFO_SIZE, DX
	MOVL	$SYS_write, AX
	SYSCALL
	RET

// sent is handler for what a process has sent. What the kernel says of a fault (si_code > 0) goes to
// the handler that was there.
TEXT sent<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CMPL	SIGINFO_CODE(SI), $0
	JGT	fault
	JMP	handler<>(SB)
fault:
	MOVQ	·forFaults(SB), AX
	JMP	AX

TEXT restorer<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3

// func handlerPC() uintptr
TEXT ·handlerPC(SB),NOSPLIT,$0-8
	LEAQ	handler<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func sentPC() uintptr
TEXT ·sentPC(SB),NOSPLIT,$0-8
	LEAQ	sent<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB),NOSPLIT,$0-8
	LEAQ	restorer<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
