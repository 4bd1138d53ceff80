/*
 * peershim.c is preloaded into daemons that a test starts out of its own
 * directory, so that they need nothing of the machine's:
 *
 *   syslog(3)      sends each line to the datagram socket $PEER_LOG.
 *   gethostname(2) answers $PEER_HOSTNAME. Sendmail sleeps for a minute at every
 *                  start when the host name has no dot.
 *   listen(2)      says so in that log, "listening at 127.0.0.1:2525": Sendmail
 *                  itself logs nothing once it does.
 *   getenv(3)      keeps answering SASL_CONF_PATH. libsasl2 asks for it after
 *                  Sendmail has wiped its environment.
 *
 * The three values are copied when the library is loaded, for that same reason.
 * A line costs socket, sendto, close: Sendmail closes descriptors it does not
 * know at every fork.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

static struct sockaddr_un logsock;
static char hostname[256];
static char saslpath[4096];
static char ident[64] = "-";

static void keep(char *dst, size_t size, const char *name)
{
	const char *v = getenv(name);

	if (v != NULL && strlen(v) < size)
		strcpy(dst, v);
}

__attribute__((constructor)) static void init(void)
{
	logsock.sun_family = AF_UNIX;
	keep(logsock.sun_path, sizeof logsock.sun_path, "PEER_LOG");
	keep(hostname, sizeof hostname, "PEER_HOSTNAME");
	keep(saslpath, sizeof saslpath, "SASL_CONF_PATH");
}

char *getenv(const char *name)
{
	size_t n = strlen(name);
	char **e;

	if (saslpath[0] != '\0' && strcmp(name, "SASL_CONF_PATH") == 0)
		return saslpath;
	for (e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

int gethostname(char *buf, size_t len)
{
	struct utsname u;
	const char *h = hostname;

	if (h[0] == '\0') {
		if (uname(&u) < 0)
			return -1;
		h = u.nodename;
	}
	if (strlen(h) >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(buf, h);
	return 0;
}

int __gethostname_chk(char *buf, size_t len, size_t max)
{
	return gethostname(buf, len < max ? len : max);
}

static void emit(const char *fmt, va_list ap)
{
	int saved = errno; /* %m means this one */
	char line[16384];
	int fd, n, m;

	if (logsock.sun_path[0] == '\0')
		return;
	n = snprintf(line, sizeof line, "%s[%ld]: ", ident, (long)getpid());
	errno = saved;
	m = vsnprintf(line + n, sizeof line - n, fmt, ap);
	if (m < 0)
		m = 0;
	n += m;
	if (n > (int)sizeof line - 1)
		n = sizeof line - 1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		/* A test that is over listens no more; its daemon is about to go. */
		(void)!sendto(fd, line, n, MSG_NOSIGNAL,
		    (struct sockaddr *)&logsock, sizeof logsock);
		close(fd);
	}
	errno = saved;
}

void openlog(const char *id, int opt, int fac)
{
	(void)opt;
	(void)fac;
	if (id != NULL)
		snprintf(ident, sizeof ident, "%s", id);
}

void closelog(void) {}
int setlogmask(int mask) { return mask; }

void vsyslog(int pri, const char *fmt, va_list ap)
{
	(void)pri;
	emit(fmt, ap);
}

void __vsyslog_chk(int pri, int flag, const char *fmt, va_list ap)
{
	(void)pri;
	(void)flag;
	emit(fmt, ap);
}

void syslog(int pri, const char *fmt, ...)
{
	va_list ap;

	(void)pri;
	va_start(ap, fmt);
	emit(fmt, ap);
	va_end(ap);
}

void __syslog_chk(int pri, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)pri;
	(void)flag;
	va_start(ap, fmt);
	emit(fmt, ap);
	va_end(ap);
}

int listen(int fd, int backlog)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} a;
	socklen_t size = sizeof a;
	char text[INET6_ADDRSTRLEN];

	memset(&a, 0, sizeof a);
	if (syscall(SYS_listen, fd, backlog) < 0)
		return -1;
	if (getsockname(fd, &a.any, &size) < 0)
		return 0;
	switch (a.any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof text);
		syslog(0, "listening at %s:%d", text, ntohs(a.in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text);
		syslog(0, "listening at [%s]:%d", text, ntohs(a.in6.sin6_port));
		break;
	case AF_UNIX: /* Postfix has dozens, all below its current directory */
		if (a.un.sun_path[0] == '/')
			syslog(0, "listening at %s", a.un.sun_path);
		break;
	}
	return 0;
}
