/*
 * count FILE [SIGNAL...] appends a line per signal that it gets to FILE, and ends
 * at signal 64. The signals given as numbers keep their default action.
 *
 * It is C because one thread and a full sa_mask make the order of its lines the
 * kernel's: what is pending comes lowest number first, so 64 comes last.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int file;

static void note(int sig, siginfo_t *info, void *context)
{
	char line[64];
	const char *name = sigabbrev_np(sig);
	int n;

	if (sig == 64)
		n = snprintf(line, sizeof line, "end\n");
	else if (info->si_code == SI_QUEUE && info->si_value.sival_int != 0)
		n = snprintf(line, sizeof line, "%d=%d\n", sig, info->si_value.sival_int);
	else if (name != NULL)
		n = snprintf(line, sizeof line, "%s\n", name);
	else
		n = snprintf(line, sizeof line, "%d\n", sig);
	if (write(file, line, n) != n)
		_exit(99);
	if (sig == 64)
		_exit(0);
}

int main(int argc, char **argv)
{
	struct sigaction act = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
	int sig, i;

	file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (file < 0) {
		perror(argv[1]);
		return 99;
	}
	sigfillset(&act.sa_mask);
	for (sig = 1; sig <= 64; sig++) {
		struct sigaction was;
		if (sigaction(sig, NULL, &was) != 0 || was.sa_handler == SIG_IGN)
			continue;
		for (i = 2; i < argc && atoi(argv[i]) != sig; i++)
			;
		if (i == argc)
			sigaction(sig, &act, NULL);
	}
	dprintf(file, "ready %d\n", getpid());
	for (;;)
		pause();
}
