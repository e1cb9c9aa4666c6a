// Package entry is what has to happen before the Go runtime, or without it, and is therefore
// written in assembly: it sees what the process inherited, and starts a command with just that. It
// is for Linux on amd64 and arm64; on other systems the package is empty.
//
// # The early entry point
//
// Linked with -ldflags '-E brs_exec_entry', the program starts at that symbol, in
// entry_linux_$GOARCH.s. The runtime gives most signals a handler, empties the signal mask and
// opens /dev/null for closed descriptors before the first line of Go runs, so what came in ignored,
// blocked or closed can be asked only there. [Inherited] returns it, and [Seen] reports whether the
// program was linked that way. With the C linker (-race) it can't be.
//
// The entry point also does two things to the process. It takes its dumpable attribute away
// (prctl(2)), for no other process is to read the credentials in its memory. And it empties the
// mask, so that a signal that the command is to have blocked still comes to the wrapper, which
// hands it on: it then waits in the command.
//
// # Roles
//
// Go can't run code between fork and exec, so what is to be done there is done after an exec: of
// the program itself (/proc/self/exe), whose entry point knows the role by argv[0] and never goes
// on to the runtime. Such an exec costs some 0.3 ms, the runtime's start would be ten times that.
//
//	br:exec    becomes the command, having put right what the runtime changed
//	ptykeep    leads the session of a command with a terminal of its own
//	sigprobe   answers which signals are pending: see package witness
//
// All of them start with every signal blocked, by the mask that syscall.ForkExec lets a child
// inherit from the thread that forks. No handler of ours can run in them.
//
// # Launching
//
// [Launch] starts br:exec FD PATH ARG0 ARGS…, where FD is a socket. The new process says its
// process id there, reads its orders (type orders) and follows them: signal actions, death signal,
// variables that name its process id, and last the mask. Then it is the command, and the exec
// closes the socket; or the exec fails, and the socket brings errno.
//
// Until the mask is set, what the terminal or a process sends is pending. When it is set, a Ctrl-Z
// from that time stops the process before it is the command. syscall.ForkExec alone would wait for
// its exec for ever then, in the terminal's foreground and out of reach. Here it has returned with
// the first exec, and Launch tells its caller of the stop.
//
// Nothing of this outlives us, whenever we are killed. A process that has no orders gets
// end-of-file in their place. One that has them sets PR_SET_PDEATHSIG, compares getppid(2)
// afterwards, and only then unblocks anything. The leader is started with PR_SET_PDEATHSIG KILL.
//
// # Sessions
//
// A command on a terminal of its own needs a session of its own. If it led that itself, the kernel
// would take its process group for orphaned (its parent, us, is in another session) and drop the
// terminal's Ctrl-Z. So two processes stand around it, which do nothing but wait:
//
//	leader    leads the session, has the terminal; our child
//	command   has a group of its own, in the foreground; our child, too (CLONE_PARENT)
//	member    sits in the command's group and is the leader's child, which makes that a group with
//	          a parent in the session: not orphaned
//
// The member reads from the socket until we close our end or die. When it ends, so does the leader.
// Where there is no room for a third process, the leader reads itself.
//
// # Where it can't be had
//
// If /proc isn't mounted, or the program may not be executed again, or under an emulator
// (qemu-user) whose /proc/self/exe isn't the program, Launch fails with [ErrUnavailable] and the
// command must be started by the syscall package alone.
package entry
