#include "textflag.h"

#define SYS_exit 93
#define SYS_clone 220
#define STEP_SIZE 88

// func cloneSteps(flags uintptr, first *step) (pid int)
//
// See the amd64 one. SVC spares all registers but R0.
TEXT ·cloneSteps(SB),NOSPLIT|NOFRAME,$0-24
	MOVD	flags+0(FP), R0
	MOVD	first+8(FP), R19
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, child
	MOVD	R0, pid+16(FP)
	RET

child:
	MOVD	0(R19), R8
	MOVD	8(R19), R0
	MOVD	16(R19), R1
	MOVD	24(R19), R2
	MOVD	32(R19), R3
	MOVD	40(R19), R4
	MOVD	48(R19), R5
	SVC
	MOVD	56(R19), R6 // check
	CMP	$3, R6
	BEQ	forked
	CMP	$4, R6
	BEQ	decimal
	MOVD	R0, 72(R19)
	CBZ	R6, next
	CMP	$1, R6
	BNE	same
	TBNZ	$63, R0, exit
next:
	ADD	$STEP_SIZE, R19
	B	child
same:
	MOVD	64(R19), R6
	CMP	R6, R0
	BEQ	next
exit:
	MOVD	$253, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK

forked:
	TBNZ	$63, R0, exit
	CBZ	R0, jump
	MOVD	R0, 72(R19)
	MOVD	80(R19), R6 // copy
	CBZ	R6, next
	MOVD	R0, 0(R6)
	B	next
jump:
	MOVD	64(R19), R19 // want
	B	child

decimal: // R0 / R1 is the next digit
	MOVD	64(R19), R2 // want
	MOVD	R2, R3
	MOVD	$1000000000, R1
	MOVD	$10, R4
digit:
	UDIV	R1, R0, R5
	MSUB	R5, R0, R1, R0 // R0 -= R5 * R1
	CBNZ	R5, write
	CMP	R3, R2
	BEQ	skip // a leading zero
write:
	ADD	$48, R5 // '0'
	MOVB	R5, (R2)
	ADD	$1, R2
skip:
	UDIV	R4, R1, R1
	CBNZ	R1, digit
	B	next
