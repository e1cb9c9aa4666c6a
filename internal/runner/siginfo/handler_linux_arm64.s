#include "textflag.h"

#define SYS_write 64
#define SYS_clock_gettime 113
#define SYS_rt_sigreturn 139
#define SIGINFO_SIZE 128
#define SIGINFO_CODE 8
#define SIGINFO_AT 112

// handler(signo R0, *siginfo_t R1, *ucontext_t R2): see the amd64 one.
TEXT handler<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	R1, R19
	MOVD	$1, R0 // CLOCK_MONOTONIC
	ADD	$SIGINFO_AT, R1
	MOVD	$SYS_clock_gettime, R8
	SVC
	MOVW	·pipe(SB), R0
	MOVD	R19, R1
	MOVD	$SIGINFO_SIZE, R2
	MOVD	$SYS_write, R8
	SVC
	RET

// sent: see the amd64 one.
TEXT sent<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVW	SIGINFO_CODE(R1), R3
	CMPW	$0, R3
	BGT	fault
	JMP	handler<>(SB)
fault:
	MOVD	·forFaults(SB), R3
	JMP	(R3)

TEXT restorer<>(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$SYS_rt_sigreturn, R8
	SVC
	BRK

// func handlerPC() uintptr
TEXT ·handlerPC(SB),NOSPLIT,$0-8
	MOVD	$handler<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func sentPC() uintptr
TEXT ·sentPC(SB),NOSPLIT,$0-8
	MOVD	$sent<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB),NOSPLIT,$0-8
	MOVD	$restorer<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET
