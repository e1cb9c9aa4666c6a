#include "textflag.h"

#define SYS_clone 56
#define SYS_exit 60
#define STEP_SIZE 88

// func cloneSteps(flags uintptr, first *step) (pid int)
//
// The child shares our stack: it keeps to registers and never returns. SYSCALL
// spares all of them but AX, CX and R11.
TEXT ·cloneSteps(SB),NOSPLIT|NOFRAME,$0-24
	MOVQ	flags+0(FP), DI
	MOVQ	first+8(FP), R12
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
	MOVQ	56(R12), BX // check
	CMPQ	BX, $3
	JEQ	forked
	CMPQ	BX, $4
	JEQ	decimal
	MOVQ	AX, 72(R12)
	CMPQ	BX, $1
	JLT	next
	JGT	same
	TESTQ	AX, AX
	JLT	exit
next:
	ADDQ	$STEP_SIZE, R12
	JMP	child
same:
	CMPQ	AX, 64(R12)
	JEQ	next
exit:
	MOVL	$253, DI
	MOVL	$SYS_exit, AX
	SYSCALL
	INT	$3

forked:
	TESTQ	AX, AX
	JLT	exit
	JEQ	jump
	MOVQ	AX, 72(R12)
	MOVQ	80(R12), BX // copy
	TESTQ	BX, BX
	JEQ	next
	MOVQ	AX, 0(BX)
	JMP	next
jump:
	MOVQ	64(R12), R12 // want
	JMP	child

decimal: // AX / BX is the next digit
	MOVQ	64(R12), DI // want
	MOVQ	$1000000000, BX
	MOVL	$10, R8
digit:
	XORL	DX, DX
	DIVQ	BX
	MOVQ	DX, R9
	TESTQ	AX, AX
	JNE	write
	CMPQ	DI, 64(R12)
	JEQ	skip // a leading zero
write:
	ADDL	$48, AX // '0'
	MOVB	AX, 0(DI)
	INCQ	DI
skip:
	MOVQ	BX, AX
	XORL	DX, DX
	DIVQ	R8
	MOVQ	AX, BX
	MOVQ	R9, AX
	TESTQ	BX, BX
	JNE	digit
	JMP	next
