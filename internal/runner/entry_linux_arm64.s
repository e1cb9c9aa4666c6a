#include "textflag.h"

#define SYS_fcntl 25
#define SYS_rt_sigaction 134
#define SYS_rt_sigprocmask 135
#define SYS_prctl 167
#define SYS_prlimit64 261

// brs_exec_entry: see the amd64 one. argc is at 0(RSP).
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$4, R0 // PR_SET_DUMPABLE
	MOVD	ZR, R1
	MOVD	$SYS_prctl, R8
	SVC

	SUB	$160, RSP
	MOVD	ZR, R19 // the ignored signals
	MOVD	$64, R20
signals:
	MOVD	R20, R0
	MOVD	ZR, R1
	ADD	$64, RSP, R2 // struct sigaction, 32 bytes
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	MOVD	ZR, 64(RSP) // for 9 and 19, too, there is an answer
	SVC
	LSL	$1, R19
	MOVD	64(RSP), R3
	CMP	$1, R3 // SIG_IGN
	BNE	next
	ORR	$1, R19
next:
	SUBS	$1, R20
	BNE	signals
	MOVD	R19, ·entryIgnored(SB)

	MOVD	ZR, 64(RSP)
	MOVD	$2, R0 // SIG_SETMASK
	ADD	$64, RSP, R1
	MOVD	$·entryBlocked(SB), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC

	MOVD	ZR, R19 // the closed descriptors
	MOVD	$2, R20
descriptors:
	MOVD	R20, R0
	MOVD	$1, R1 // F_GETFD
	MOVD	$SYS_fcntl, R8
	SVC
	LSL	$1, R19
	LSR	$63, R0 // 1: EBADF
	ORR	R0, R19
	SUBS	$1, R20
	BGE	descriptors
	MOVD	R19, ·entryClosed(SB)

	MOVD	ZR, R0
	MOVD	$7, R1 // RLIMIT_NOFILE
	MOVD	ZR, R2
	MOVD	$·entryNofile(SB), R3
	MOVD	$SYS_prlimit64, R8
	SVC

	MOVD	$1, R0
	MOVD	R0, ·entrySeen(SB)
	ADD	$160, RSP
	JMP	_rt0_arm64_linux(SB)
