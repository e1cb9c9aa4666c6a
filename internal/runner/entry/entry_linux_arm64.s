#include "textflag.h"
#include "entry_linux.h"

#define SYS_dup3 24
#define SYS_fcntl 25
#define SYS_ioctl 29
#define SYS_close 57
#define SYS_read 63
#define SYS_write 64
#define SYS_exit 93
#define SYS_clock_gettime 113
#define SYS_rt_sigaction 134
#define SYS_rt_sigprocmask 135
#define SYS_rt_sigtimedwait 137
#define SYS_setpgid 154
#define SYS_prctl 167
#define SYS_getpid 172
#define SYS_getppid 173
#define SYS_getuid 174
#define SYS_shutdown 210
#define SYS_clone 220
#define SYS_execve 221
#define SYS_wait4 260
#define SYS_prlimit64 261
#define SYS_close_range 436

// SVC takes its number in R8 and its arguments in R0 to R5, and answers in R0. The kernel keeps all
// other registers. The rest is as in entry_linux_amd64.s, which has the comments.
#define CALL0(nr) MOVD $nr, R8; SVC
#define CALL2(nr, a, b) MOVD a, R0; MOVD b, R1; CALL0(nr)
#define CALL3(nr, a, b, c) MOVD c, R2; CALL2(nr, a, b)
#define CALL4(nr, a, b, c, d) MOVD d, R3; CALL3(nr, a, b, c)
#define FORK(flags) MOVD ZR, R4; CALL4(SYS_clone, $flags, ZR, ZR, ZR)

// brs_exec_entry: argc is at 0(RSP), argv at 8(RSP). R22 is the role.
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	CALL2(SYS_prctl, $PR_SET_DUMPABLE, ZR)
	MOVD	8(RSP), R1
	CBZ	R1, program
	MOVD	0(R1), R22
	MOVD	$SIGPROBE, R2
	CMP	R2, R22
	BNE	launcher
	MOVBU	8(R1), R3
	CBZ	R3, probe
	B	program
launcher:
	MOVD	$BREXEC, R2
	CMP	R2, R22
	BEQ	launch
	MOVD	$PTYKEEP, R2
	CMP	R2, R22
	BEQ	launch
	MOVD	$BRSHOLD, R2
	CMP	R2, R22
	BNE	program
	MOVBU	8(R1), R3
	CBZ	R3, runtime

program: // R19 collects bits, R20 counts
	SUB	$160, RSP
	MOVD	$·limits(SB), R21
	MOVD	$LIMITS, R20
	CALL0(SYS_getuid)
	CBNZ	R0, limit
	SUB	$1, R20
limit:
	CALL4(SYS_prlimit64, ZR, LIMIT_RESOURCE(R21), ZR, $64(RSP))
	MOVD	LIMIT_KIND(R21), R0
	ADD	$64, RSP, R1
	MOVD	(R1)(R0<<3), R0
	MOVD	LIMIT_LEAST(R21), R1
	CMP	R1, R0
	BLO	refused
	ADD	$LIMIT_SIZE, R21
	SUBS	$1, R20
	BNE	limit

	MOVD	ZR, R19
	MOVD	$64, R20
signals:
	MOVD	ZR, 64(RSP)
	CALL4(SYS_rt_sigaction, R20, ZR, $64(RSP), $8)
	LSL	$1, R19
	MOVD	64(RSP), R3
	CMP	$1, R3 // SIG_IGN
	BNE	next
	ORR	$1, R19
next:
	SUBS	$1, R20
	BNE	signals
	MOVD	R19, ·ignored(SB)

	MOVD	ZR, 64(RSP)
	CALL4(SYS_rt_sigprocmask, $SIG_SETMASK, $64(RSP), $·blocked(SB), $8)

	MOVD	ZR, R19
	MOVD	$2, R20
descriptors:
	CALL2(SYS_fcntl, R20, $F_GETFD)
	LSL	$1, R19
	LSR	$63, R0
	ORR	R0, R19
	SUBS	$1, R20
	BGE	descriptors
	MOVD	R19, ·closed(SB)

	MOVD	$1, R0
	MOVD	R0, ·seen(SB)
	ADD	$160, RSP
runtime:
	JMP	_rt0_arm64_linux(SB)

refused:
	CALL3(SYS_write, $2, LIMIT_TEXT(R21), LIMIT_LENGTH(R21))
	CALL2(SYS_exit, $125, ZR)

launch: // R19 is the stack as the kernel made it, R20 the socket
	MOVD	RSP, R19
	SUB	$256, RSP
	MOVD	16(R19), R1
	MOVD	ZR, R20
	MOVD	$10, R2
digit:
	MOVBU	0(R1), R0
	SUBS	$48, R0
	BLT	socket
	MUL	R2, R20
	ADD	R0, R20
	ADD	$1, R1
	B	digit
socket:
	CALL3(SYS_fcntl, R20, $F_SETFD, $FD_CLOEXEC)
	MOVD	$PTYKEEP, R2
	CMP	R2, R22
	BEQ	keep

orders:
	CALL2(SYS_clock_gettime, $CLOCK_MONOTONIC, $(ORDERS+WORD_TIME)(RSP))
	CALL0(SYS_getpid)
	MOVD	R0, ORDERS(RSP)
	CALL3(SYS_write, R20, $ORDERS(RSP), $WORD_SIZE)
	CALL3(SYS_read, R20, $ORDERS(RSP), $ORDERS_SIZE)
	CMP	$ORDERS_SIZE, R0
	BNE	exit

	MOVD	ORDERS_IGNORED(RSP), R21
	MOVD	ZR, 200(RSP)
	MOVD	ZR, 208(RSP)
	MOVD	ZR, 216(RSP)
	MOVD	$64, R22
action:
	LSR	$63, R21, R0
	MOVD	R0, 192(RSP)
	LSL	$1, R21
	CALL4(SYS_rt_sigaction, R22, $192(RSP), ZR, $8)
	SUBS	$1, R22
	BNE	action

	CALL2(SYS_prctl, $PR_SET_PDEATHSIG, ORDERS_DEATH(RSP))
	CALL0(SYS_getppid)
	MOVD	ORDERS_PARENT(RSP), R1
	CMP	R0, R1
	BNE	exit

	MOVD	0(R19), R0 // argc
	ADD	R0<<3, R19, R21
	ADD	$16, R21 // envp
	MOVD	$ORDERS_VARIABLES(RSP), R1
	MOVD	ORDERS_COUNT(RSP), R2
variable:
	CBZ	R2, unblock
	MOVD	0(R1), R0
	ADD	$VARIABLE_TEXT, R1, R3
	ADD	R0<<3, R21, R4
	MOVD	R3, 0(R4)
	ADD	$VARIABLE_SIZE, R1
	SUB	$1, R2
	B	variable

unblock:
	CALL4(SYS_rt_sigprocmask, $SIG_SETMASK, $ORDERS_BLOCKED(RSP), ZR, $8)
	CALL3(SYS_execve, 24(R19), $32(R19), R21)
	MOVD	R0, ORDERS(RSP)
	B	tell

keep:
	CALL2(SYS_prctl, $PR_SET_NAME, 8(R19))
	FORK(CLONE_PARENT|CLONE_VFORK|SIGCHLD)
	CBZ	R0, command
	MOVD	R0, ORDERS(RSP)
	CMP	$0, R0
	BLT	tell
	MOVD	R0, R21 // the command
	CALL3(SYS_dup3, R20, ZR, ZR)
	MOVD	$1, R25
	BL	closeFrom<>(SB)
	FORK(SIGCHLD)
	CBZ	R0, member
	CMP	$0, R0
	BLT	alone
	CALL4(SYS_wait4, $-1, ZR, ZR, ZR)
	B	exit

member:
	CALL2(SYS_prctl, $PR_SET_PDEATHSIG, $SIGKILL)
	CALL2(SYS_setpgid, ZR, R21)
alone:
	MOVD	ZR, ORDERS(RSP)
	CALL3(SYS_write, ZR, $ORDERS(RSP), $WORD_SIZE)
	CALL3(SYS_read, ZR, $ORDERS(RSP), $1)
	B	exit

command:
	CALL2(SYS_setpgid, ZR, ZR)
	CALL0(SYS_getpid)
	MOVD	R0, ORDERS(RSP)
	CALL3(SYS_ioctl, ZR, $TIOCSPGRP, $ORDERS(RSP))
	B	orders

tell:
	CALL3(SYS_write, R20, $ORDERS(RSP), $WORD_SIZE)
exit:
	CALL2(SYS_exit, $253, ZR)
	BRK

probe: // siginfo_t at 0(RSP), sigset_t at 128(RSP), timespec at 136(RSP)
	CALL2(SYS_prctl, $PR_SET_NAME, 8(RSP))
	MOVD	16(RSP), R1
	CBZ	R1, exit
	MOVBU	0(R1), R24 // the first descriptor that isn't its own
	SUB	$48, R24
	MOVD	R24, R25
	BL	closeFrom<>(SB)
	SUB	$160, RSP
	MOVD	$-1, R0
	MOVD	R0, 128(RSP)
	MOVD	ZR, 136(RSP)
	MOVD	ZR, 144(RSP)
question:
	CALL3(SYS_read, ZR, RSP, $1)
	CMP	$0, R0
	BLE	hold
answer:
	CALL4(SYS_rt_sigtimedwait, $128(RSP), RSP, $136(RSP), $8)
	MOVD	R0, R19
	CMP	$0, R0
	BGT	report
	CMN	$4, R0 // EINTR
	BEQ	answer
	MOVW	ZR, 0(RSP)
report:
	CALL3(SYS_write, ZR, RSP, $SIGINFO_SIZE)
	CMP	$0, R0
	BLE	hold
	CMP	$0, R19
	BGT	answer
	B	question

hold:
	MOVD	$3, R23
refuse:
	CMP	R24, R23
	BGE	become
	CALL2(SYS_shutdown, R23, $SHUT_RD)
	ADD	$1, R23
	B	refuse
become:
	CMP	$3, R24
	BLE	exit
	MOVD	$1, R0
	MOVD	R0, 0(RSP)
	MOVD	ZR, 8(RSP)
	MOVD	ZR, 16(RSP)
	MOVD	ZR, 24(RSP)
	MOVD	$64, R23
ignore:
	CALL4(SYS_rt_sigaction, R23, RSP, ZR, $8)
	SUBS	$1, R23
	BNE	ignore
	MOVD	$holderName<>(SB), R0
	MOVD	R0, 0(RSP)
	MOVD	ZR, 8(RSP)
	CALL3(SYS_execve, $holderPath<>(SB), RSP, $8(RSP))
	B	exit

TEXT closeFrom<>(SB),NOSPLIT|NOFRAME,$0 // from R25 on
	CALL3(SYS_close_range, R25, $ALL, ZR)
	CBZ	R0, closed
one:
	CALL2(SYS_close, R25, ZR)
	ADD	$1, R25
	CMP	$MOST_FILES, R25
	BLT	one
closed:
	RET
