#include "textflag.h"

#define SYS_clone 56
#define SYS_exit 60
#define CLONE_VFORK_VM_SIGCHLD 0x4111
#define STEP_SIZE 80

// func vforkSteps(first *step, n int) (pid int)
//
// The child shares our stack: it keeps to registers and never returns. SYSCALL
// spares all of them but AX, CX and R11.
TEXT ·vforkSteps(SB),NOSPLIT|NOFRAME,$0-24
	MOVQ	first+0(FP), R12
	MOVQ	n+8(FP), R13
	MOVL	$CLONE_VFORK_VM_SIGCHLD, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+16(FP)
	RET

child:
	MOVQ	0(R12), AX
	MOVQ	8(R12), DI
	MOVQ	16(R12), SI
	MOVQ	24(R12), DX
	MOVQ	32(R12), R10
	MOVQ	40(R12), R8
	MOVQ	48(R12), R9
	SYSCALL
	MOVQ	AX, 72(R12)
	CMPQ	56(R12), $1
	JLT	next
	JGT	same
	TESTQ	AX, AX
	JLT	exit
	JMP	next
same:
	CMPQ	AX, 64(R12)
	JNE	exit
next:
	ADDQ	$STEP_SIZE, R12
	DECQ	R13
	JNZ	child
exit:
	MOVL	$253, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	INT	$3
