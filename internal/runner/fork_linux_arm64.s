#include "textflag.h"

#define SYS_exit 93
#define SYS_clone 220
#define CLONE_VFORK_VM_SIGCHLD 0x4111
#define STEP_SIZE 80

// func vforkSteps(first *step, n int) (pid int)
//
// See the amd64 one. SVC spares all registers but R0.
TEXT ·vforkSteps(SB),NOSPLIT|NOFRAME,$0-24
	MOVD	first+0(FP), R19
	MOVD	n+8(FP), R20
	MOVD	$CLONE_VFORK_VM_SIGCHLD, R0
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
	MOVD	R0, 72(R19)
	MOVD	56(R19), R6
	CBZ	R6, next
	CMP	$1, R6
	BNE	same
	TBNZ	$63, R0, exit
	B	next
same:
	MOVD	64(R19), R6
	CMP	R6, R0
	BNE	exit
next:
	ADD	$STEP_SIZE, R19
	SUBS	$1, R20
	BNE	child
exit:
	MOVD	$253, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK
