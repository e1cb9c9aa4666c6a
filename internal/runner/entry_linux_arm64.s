#include "textflag.h"

#define SYS_fcntl 25
#define SYS_read 63
#define SYS_write 64
#define SYS_exit 93
#define SYS_rt_sigaction 134
#define SYS_rt_sigprocmask 135
#define SYS_rt_sigtimedwait 137
#define SYS_prctl 167
#define SYS_prlimit64 261

// brs_exec_entry: see the amd64 one. argc is at 0(RSP).
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$4, R0 // PR_SET_DUMPABLE
	MOVD	ZR, R1
	MOVD	$SYS_prctl, R8
	SVC

	MOVD	8(RSP), R1 // argv[0]
	CBZ	R1, program
	MOVD	$0x65626f7270676973, R2 // "sigprobe"
	MOVD	0(R1), R3
	CMP	R2, R3
	BNE	program
	MOVBU	8(R1), R3
	CBZ	R3, probe

program:
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

probe: // see the amd64 one; argv[0] is in R1
	MOVD	$15, R0 // PR_SET_NAME
	MOVD	$SYS_prctl, R8
	SVC
	SUB	$160, RSP // siginfo_t at 0, sigset_t at 128, timespec at 136
	MOVD	$-1, R0
	MOVD	R0, 128(RSP)
	MOVD	ZR, 136(RSP)
	MOVD	ZR, 144(RSP)
question:
	MOVD	ZR, R0
	MOVD	RSP, R1
	MOVD	$1, R2
	MOVD	$SYS_read, R8
	SVC
	CMP	$0, R0
	BLE	gone
answer:
	ADD	$128, RSP, R0
	MOVD	RSP, R1
	ADD	$136, RSP, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigtimedwait, R8
	SVC
	MOVD	R0, R19
	CMP	$0, R0
	BGT	tell
	CMN	$4, R0 // EINTR: it was stopped and continued
	BEQ	answer
	MOVW	ZR, 0(RSP)
tell:
	MOVD	ZR, R0
	MOVD	RSP, R1
	MOVD	$128, R2
	MOVD	$SYS_write, R8
	SVC
	CMP	$0, R0
	BLE	gone
	CMP	$0, R19
	BGT	answer
	B	question
gone:
	MOVD	ZR, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK
