#include "textflag.h"

#define SYS_dup3 24
#define SYS_fcntl 25
#define SYS_ioctl 29
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
#define SYS_clone 220
#define SYS_execve 221
#define SYS_wait4 260
#define SYS_close_range 436

#define PR_SET_PDEATHSIG 1
#define PR_SET_DUMPABLE 4
#define PR_SET_NAME 15
#define PR_SET_CHILD_SUBREAPER 36
#define SIGKILL 9
#define SIGCHLD 17
#define CLONE_VFORK 0x4000
#define CLONE_PARENT 0x8000
#define TIOCSPGRP 0x5410

// The layout of type orders, and of its variables. The buffer for it is at 16(RSP): RSP itself is
// kept a multiple of 16.
#define ORDERS 16
#define ORDERS_IGNORED 16
#define ORDERS_BLOCKED 24
#define ORDERS_DEATH 32
#define ORDERS_PARENT 40
#define ORDERS_SUBREAPER 48
#define ORDERS_COUNT 56
#define ORDERS_VARIABLES 64
#define ORDERS_SIZE 168
#define VARIABLE_TEXT 8
#define VARIABLE_SIZE 40

// The layout of type word, in the same place.
#define WORD_TIME 24
#define WORD_SIZE 24

// SVC takes its number in R8 and its arguments in R0 to R5, and answers in R0. The kernel keeps all
// other registers. The rest is as in entry_linux_amd64.s, which has the comments.
#define CALL(nr) MOVD $nr, R8; SVC

// brs_exec_entry: argc is at 0(RSP), argv at 8(RSP).
TEXT brs_exec_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVD	$PR_SET_DUMPABLE, R0
	MOVD	ZR, R1
	CALL(SYS_prctl)

	MOVD	8(RSP), R1
	CBZ	R1, program
	MOVD	0(R1), R22 // the role
	MOVD	$0x65626f7270676973, R2 // "sigprobe"
	CMP	R2, R22
	BNE	launcher
	MOVBU	8(R1), R3
	CBZ	R3, probe
	B	program
launcher:
	MOVD	$0x00636578653a7262, R2 // "br:exec\0"
	CMP	R2, R22
	BEQ	launch
	MOVD	$0x007065656b797470, R2 // "ptykeep\0"
	CMP	R2, R22
	BEQ	launch

program: // R19 collects bits, R20 counts
	SUB	$160, RSP
	MOVD	ZR, R19
	MOVD	$64, R20
signals:
	MOVD	R20, R0
	MOVD	ZR, R1
	ADD	$64, RSP, R2 // struct sigaction, 32 bytes; the handler comes first
	MOVD	$8, R3
	MOVD	ZR, 64(RSP)
	CALL(SYS_rt_sigaction)
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
	MOVD	$2, R0 // SIG_SETMASK
	ADD	$64, RSP, R1
	MOVD	$·blocked(SB), R2
	MOVD	$8, R3
	CALL(SYS_rt_sigprocmask)

	MOVD	ZR, R19
	MOVD	$2, R20
descriptors:
	MOVD	R20, R0
	MOVD	$1, R1 // F_GETFD
	CALL(SYS_fcntl)
	LSL	$1, R19
	LSR	$63, R0
	ORR	R0, R19
	SUBS	$1, R20
	BGE	descriptors
	MOVD	R19, ·closed(SB)

	MOVD	$1, R0
	MOVD	R0, ·seen(SB)
	ADD	$160, RSP
	JMP	_rt0_arm64_linux(SB)

launch: // R19 is the stack as the kernel made it, R20 the socket, R22 the role
	MOVD	RSP, R19
	SUB	$256, RSP // orders at 16(RSP), struct sigaction at 192(RSP)
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
	MOVD	R20, R0
	MOVD	$2, R1 // F_SETFD
	MOVD	$1, R2 // FD_CLOEXEC
	CALL(SYS_fcntl)
	MOVD	$0x007065656b797470, R2 // "ptykeep\0"
	CMP	R2, R22
	BEQ	keep

orders:
	MOVD	$1, R0 // CLOCK_MONOTONIC
	ADD	$WORD_TIME, RSP, R1
	CALL(SYS_clock_gettime)
	CALL(SYS_getpid)
	MOVD	R0, ORDERS(RSP)
	MOVD	R20, R0
	ADD	$ORDERS, RSP, R1
	MOVD	$WORD_SIZE, R2
	CALL(SYS_write)
	MOVD	R20, R0
	ADD	$ORDERS, RSP, R1
	MOVD	$ORDERS_SIZE, R2
	CALL(SYS_read)
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
	MOVD	R22, R0
	ADD	$192, RSP, R1
	MOVD	ZR, R2
	MOVD	$8, R3
	CALL(SYS_rt_sigaction)
	SUBS	$1, R22
	BNE	action

	MOVD	$PR_SET_PDEATHSIG, R0
	MOVD	ORDERS_DEATH(RSP), R1
	CALL(SYS_prctl)
	CALL(SYS_getppid)
	MOVD	ORDERS_PARENT(RSP), R1
	CMP	R0, R1
	BNE	exit
	MOVD	$PR_SET_CHILD_SUBREAPER, R0
	MOVD	ORDERS_SUBREAPER(RSP), R1
	CALL(SYS_prctl)

	MOVD	0(R19), R0 // argc
	ADD	R0<<3, R19, R21
	ADD	$16, R21 // envp
	ADD	$ORDERS_VARIABLES, RSP, R1
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
	MOVD	$2, R0 // SIG_SETMASK
	ADD	$ORDERS_BLOCKED, RSP, R1
	MOVD	ZR, R2
	MOVD	$8, R3
	CALL(SYS_rt_sigprocmask)
	MOVD	24(R19), R0
	ADD	$32, R19, R1
	MOVD	R21, R2
	CALL(SYS_execve)
	MOVD	R0, ORDERS(RSP)
	B	tell

keep:
	MOVD	$PR_SET_NAME, R0
	MOVD	8(R19), R1
	CALL(SYS_prctl)
	MOVD	$(CLONE_PARENT|CLONE_VFORK|SIGCHLD), R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	CALL(SYS_clone)
	CBZ	R0, command
	MOVD	R0, ORDERS(RSP)
	CMP	$0, R0
	BLT	tell
	MOVD	R0, R21 // the command
	MOVD	R20, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	CALL(SYS_dup3)
	MOVD	$1, R0
	MOVD	$0xffffffff, R1
	MOVD	ZR, R2
	CALL(SYS_close_range)
	MOVD	$SIGCHLD, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	CALL(SYS_clone)
	CBZ	R0, member
	MOVD	$-1, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	CALL(SYS_wait4)
	B	exit

member:
	MOVD	$PR_SET_PDEATHSIG, R0
	MOVD	$SIGKILL, R1
	CALL(SYS_prctl)
	MOVD	ZR, R0
	MOVD	R21, R1
	CALL(SYS_setpgid)
	MOVD	ZR, ORDERS(RSP)
	MOVD	ZR, R0
	ADD	$ORDERS, RSP, R1
	MOVD	$WORD_SIZE, R2
	CALL(SYS_write)
	MOVD	ZR, R0
	ADD	$ORDERS, RSP, R1
	MOVD	$1, R2
	CALL(SYS_read)
	B	exit

command:
	MOVD	ZR, R0
	MOVD	ZR, R1
	CALL(SYS_setpgid)
	CALL(SYS_getpid)
	MOVD	R0, ORDERS(RSP)
	MOVD	ZR, R0
	MOVD	$TIOCSPGRP, R1
	ADD	$ORDERS, RSP, R2
	CALL(SYS_ioctl)
	B	orders

tell:
	MOVD	R20, R0
	ADD	$ORDERS, RSP, R1
	MOVD	$WORD_SIZE, R2
	CALL(SYS_write)
exit:
	MOVD	$253, R0
	CALL(SYS_exit)
	BRK

probe: // argv[0] is in R1; siginfo_t at 0(RSP), sigset_t at 128(RSP), timespec at 136(RSP)
	MOVD	$PR_SET_NAME, R0
	CALL(SYS_prctl)
	MOVD	$3, R0
	MOVD	$0xffffffff, R1
	MOVD	ZR, R2
	CALL(SYS_close_range)
	SUB	$160, RSP
	MOVD	$-1, R0
	MOVD	R0, 128(RSP)
	MOVD	ZR, 136(RSP)
	MOVD	ZR, 144(RSP)
question:
	MOVD	ZR, R0
	MOVD	RSP, R1
	MOVD	$1, R2
	CALL(SYS_read)
	CMP	$0, R0
	BLE	exit
answer:
	ADD	$128, RSP, R0
	MOVD	RSP, R1
	ADD	$136, RSP, R2
	MOVD	$8, R3
	CALL(SYS_rt_sigtimedwait)
	MOVD	R0, R19
	CMP	$0, R0
	BGT	report
	CMN	$4, R0 // EINTR
	BEQ	answer
	MOVW	ZR, 0(RSP)
report:
	MOVD	ZR, R0
	MOVD	RSP, R1
	MOVD	$128, R2
	CALL(SYS_write)
	CMP	$0, R0
	BLE	exit
	CMP	$0, R19
	BGT	answer
	B	question
