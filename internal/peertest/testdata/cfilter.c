/*
 * cfilter.c is a filter on libmilter that does what its arguments say, and says
 * on stdout what it is asked.
 *
 *	cfilter SPEC ACTION...
 *
 * An action is words with '|' between them. STAGE is connect, helo, mail, rcpt,
 * data, header, eoh, body, eom or unknown. Without an action for it, a
 * stage is continued.
 *
 *	accept|STAGE[|TEXT]     also reject, tempfail, discard, skip, noreply:
 *	                        what the callback returns; with TEXT, only where the
 *	                        callback's first argument has it. skip and noreply
 *	                        are negotiated too.
 *	reply|STAGE|TEXT|CODE|XCODE|LINE...
 *	                        set the reply (TEXT may be empty, XCODE too), then
 *	                        reject for 5yz and tempfail for 4yz
 *	macros|STAGE|NAMES      ask for these macros at the stage, NAMES as in "i {j}"
 *	show|NAME...            print these macros at every callback, where they have a value
 *	leadspace               negotiate SMFIP_HDR_LEADSPC
 *
 * and at the end of the message, in the order given:
 *
 *	addheader|NAME|VALUE        insheader|INDEX|NAME|VALUE
 *	chgheader|NAME|INDEX|VALUE  delheader|NAME|INDEX
 *	replacebody|TEXT            quarantine|WHY           progress
 *	addrcpt|ADDR[|PARAMS]       delrcpt|ADDR             chgfrom|ADDR[|PARAMS]
 *
 * Every line on stdout is "N STAGE arguments...", N counting connections from 1,
 * bytes that are not printable as \xNN. What libmilter refuses is a line "N
 * refused ACTION". The first line is "ready".
 */
#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAXWORDS = 40 };

struct action {
	char *text; /* as given */
	char *word[MAXWORDS + 1];
	int n;
};

static struct action *actions;
static int nactions;
static int connections;
static pthread_mutex_t outlock = PTHREAD_MUTEX_INITIALIZER;

static const char *const stages[] = {"connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom", "unknown", NULL};
static const unsigned long noreply_step[] = {SMFIP_NR_CONN, SMFIP_NR_HELO, SMFIP_NR_MAIL, SMFIP_NR_RCPT, SMFIP_NR_DATA,
    SMFIP_NR_HDR, SMFIP_NR_EOH, SMFIP_NR_BODY, 0, SMFIP_NR_UNKN};

/* ---- what it prints */

static void print_bytes(const char *s, size_t n)
{
	for (; n > 0; s++, n--) {
		unsigned char c = *s;
		if (c < ' ' || c > '~' || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

/* say prints one line: the stage, then strings up to NULL. */
static void say(SMFICTX *ctx, const char *stage, ...)
{
	va_list ap;
	const char *s;
	int i, j;

	pthread_mutex_lock(&outlock);
	printf("%d %s", (int)(long)smfi_getpriv(ctx), stage);
	va_start(ap, stage);
	while ((s = va_arg(ap, const char *)) != NULL) {
		putchar(' ');
		print_bytes(s, strlen(s));
	}
	va_end(ap);
	for (i = 0; i < nactions; i++) {
		if (strcmp(actions[i].word[0], "show") != 0)
			continue;
		for (j = 1; j < actions[i].n; j++) {
			const char *value = smfi_getsymval(ctx, actions[i].word[j]);
			if (value == NULL)
				continue;
			printf(" %s=", actions[i].word[j]);
			print_bytes(value, strlen(value));
		}
	}
	putchar('\n');
	fflush(stdout);
	pthread_mutex_unlock(&outlock);
}

/* ---- what it does */

static int stage_number(const char *name)
{
	int i;

	for (i = 0; stages[i] != NULL; i++)
		if (strcmp(stages[i], name) == 0)
			return i;
	fprintf(stderr, "cfilter: no stage %s\n", name);
	exit(2);
}

static int set_reply(SMFICTX *ctx, struct action *a)
{
	/* setmlreply wants its lines as arguments, up to 32 of them and a NULL. */
	char *l[33] = {0};
	int i;

	for (i = 0; i < 32 && 5 + i < a->n; i++)
		l[i] = a->word[5 + i];
	return smfi_setmlreply(ctx, a->word[3], a->word[4][0] != '\0' ? a->word[4] : NULL,
	    l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7], l[8], l[9], l[10], l[11], l[12], l[13], l[14], l[15], l[16], l[17],
	    l[18], l[19], l[20], l[21], l[22], l[23], l[24], l[25], l[26], l[27], l[28], l[29], l[30], l[31], NULL);
}

static void refused(SMFICTX *ctx, struct action *a) { say(ctx, "refused", a->text, NULL); }

/* check_action ends the program when it could only ignore a. */
static void check_action(struct action *a)
{
	/* Verbs with a stage as the first word, then the others; with the least number of words. */
	static const struct { const char *verb; int words; } known[] = {
	    {"accept", 2}, {"reject", 2}, {"tempfail", 2}, {"discard", 2}, {"skip", 2}, {"noreply", 2},
	    {"reply", 6}, {"macros", 3}, {NULL, 0},
	    {"show", 2}, {"leadspace", 1}, {"addheader", 3}, {"insheader", 4}, {"chgheader", 4},
	    {"delheader", 3}, {"replacebody", 2}, {"quarantine", 2}, {"progress", 1}, {"addrcpt", 2},
	    {"delrcpt", 2}, {"chgfrom", 2}};
	size_t i;
	int with_stage = 1;

	for (i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (known[i].verb == NULL) {
			with_stage = 0;
		} else if (strcmp(known[i].verb, a->word[0]) == 0 && a->n >= known[i].words) {
			if (with_stage)
				stage_number(a->word[1]);
			return;
		}
	}
	fprintf(stderr, "cfilter: cannot do %s\n", a->text);
	exit(2);
}

/* answer is what a callback returns. */
static sfsistat answer(SMFICTX *ctx, const char *stage, const char *arg)
{
	int i;

	for (i = 0; i < nactions; i++) {
		struct action *a = &actions[i];
		const char *verb = a->word[0];

		if (a->n < 2 || strcmp(a->word[1], stage) != 0 || strcmp(verb, "macros") == 0)
			continue;
		if (a->n > 2 && strstr(arg, a->word[2]) == NULL)
			continue;
		if (strcmp(verb, "accept") == 0)
			return SMFIS_ACCEPT;
		if (strcmp(verb, "reject") == 0)
			return SMFIS_REJECT;
		if (strcmp(verb, "tempfail") == 0)
			return SMFIS_TEMPFAIL;
		if (strcmp(verb, "discard") == 0)
			return SMFIS_DISCARD;
		if (strcmp(verb, "skip") == 0)
			return SMFIS_SKIP;
		if (strcmp(verb, "noreply") == 0)
			return SMFIS_NOREPLY;
		if (strcmp(verb, "reply") == 0) {
			if (set_reply(ctx, a) != MI_SUCCESS)
				refused(ctx, a);
			return a->word[3][0] == '4' ? SMFIS_TEMPFAIL : SMFIS_REJECT;
		}
	}
	return SMFIS_CONTINUE;
}

/* edit does one action at the end of a message. */
static int edit(SMFICTX *ctx, struct action *a)
{
	char **w = a->word;

#define IS(name, words) (strcmp(w[0], name) == 0 && a->n >= (words))
	if (IS("addheader", 3))
		return smfi_addheader(ctx, w[1], w[2]);
	if (IS("insheader", 4))
		return smfi_insheader(ctx, atoi(w[1]), w[2], w[3]);
	if (IS("chgheader", 4))
		return smfi_chgheader(ctx, w[1], atoi(w[2]), w[3]);
	if (IS("delheader", 3))
		return smfi_chgheader(ctx, w[1], atoi(w[2]), NULL);
	if (IS("replacebody", 2))
		return smfi_replacebody(ctx, (unsigned char *)w[1], strlen(w[1]));
	if (IS("quarantine", 2))
		return smfi_quarantine(ctx, w[1]);
	if (IS("progress", 1))
		return smfi_progress(ctx);
	if (IS("addrcpt", 3))
		return smfi_addrcpt_par(ctx, w[1], w[2]);
	if (IS("addrcpt", 2))
		return smfi_addrcpt(ctx, w[1]);
	if (IS("delrcpt", 2))
		return smfi_delrcpt(ctx, w[1]);
	if (IS("chgfrom", 2))
		return smfi_chgfrom(ctx, w[1], a->n > 2 ? w[2] : NULL);
#undef IS
	return MI_SUCCESS;
}

/* ---- callbacks */

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
    unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	char actionbits[20], stepbits[20];
	unsigned long steps = 0;
	int i, number;

	(void)f2;
	(void)f3;
	pthread_mutex_lock(&outlock);
	number = ++connections;
	pthread_mutex_unlock(&outlock);
	smfi_setpriv(ctx, (void *)(long)number);
	for (i = 0; i < nactions; i++) {
		struct action *a = &actions[i];

		if (strcmp(a->word[0], "skip") == 0)
			steps |= SMFIP_SKIP;
		if (strcmp(a->word[0], "leadspace") == 0)
			steps |= SMFIP_HDR_LEADSPC;
		if (strcmp(a->word[0], "noreply") == 0 && a->n > 1)
			steps |= noreply_step[stage_number(a->word[1])];
		if (strcmp(a->word[0], "macros") == 0 && a->n > 2) {
			static const int where[] = {SMFIM_CONNECT, SMFIM_HELO, SMFIM_ENVFROM, SMFIM_ENVRCPT, SMFIM_DATA, -1, SMFIM_EOH, -1, SMFIM_EOM, -1};

			if (smfi_setsymlist(ctx, where[stage_number(a->word[1])], a->word[2]) != MI_SUCCESS)
				refused(ctx, a);
		}
	}
	snprintf(actionbits, sizeof actionbits, "0x%lx", f0);
	snprintf(stepbits, sizeof stepbits, "0x%lx", f1);
	say(ctx, "negotiate", actionbits, stepbits, NULL);
	*pf0 = f0;
	*pf1 = steps & f1;
	*pf2 = *pf3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	char text[INET6_ADDRSTRLEN] = "?", port[10] = "0";

	if (addr != NULL && addr->sa_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)addr;
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		snprintf(port, sizeof port, "%d", ntohs(in->sin_port));
	} else if (addr != NULL && addr->sa_family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
		snprintf(port, sizeof port, "%d", ntohs(in6->sin6_port));
	}
	say(ctx, "connect", host, text, port, NULL);
	return answer(ctx, "connect", host);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	say(ctx, "helo", name, NULL);
	return answer(ctx, "helo", name);
}

static sfsistat envelope(SMFICTX *ctx, const char *stage, char **argv)
{
	char all[4096] = "";
	int i;

	for (i = 0; argv[i] != NULL && strlen(all) + strlen(argv[i]) + 2 < sizeof all; i++) {
		if (i > 0)
			strcat(all, " ");
		strcat(all, argv[i]);
	}
	say(ctx, stage, all, NULL);
	return answer(ctx, stage, argv[0]);
}

static sfsistat on_mail(SMFICTX *ctx, char **argv) { return envelope(ctx, "mail", argv); }
static sfsistat on_rcpt(SMFICTX *ctx, char **argv) { return envelope(ctx, "rcpt", argv); }

static sfsistat on_data(SMFICTX *ctx)
{
	say(ctx, "data", NULL);
	return answer(ctx, "data", "");
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	say(ctx, "header", name, value, NULL);
	return answer(ctx, "header", name);
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	say(ctx, "eoh", NULL);
	return answer(ctx, "eoh", "");
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *chunk, size_t size)
{
	char length[20];

	(void)chunk;
	snprintf(length, sizeof length, "%lu", (unsigned long)size);
	say(ctx, "body", length, NULL);
	return answer(ctx, "body", "");
}

static sfsistat on_eom(SMFICTX *ctx)
{
	int i;

	say(ctx, "eom", NULL);
	for (i = 0; i < nactions; i++)
		if (edit(ctx, &actions[i]) != MI_SUCCESS)
			refused(ctx, &actions[i]);
	return answer(ctx, "eom", "");
}

static sfsistat on_unknown(SMFICTX *ctx, const char *command)
{
	say(ctx, "unknown", command, NULL);
	return answer(ctx, "unknown", command);
}

static sfsistat on_abort(SMFICTX *ctx)
{
	say(ctx, "abort", NULL);
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	say(ctx, "close", NULL);
	return SMFIS_CONTINUE;
}

static struct smfiDesc filter = {
	.xxfi_name = "cfilter",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_NONE,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_mail,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_header = on_header,
	.xxfi_eoh = on_eoh,
	.xxfi_body = on_body,
	.xxfi_eom = on_eom,
	.xxfi_abort = on_abort,
	.xxfi_close = on_close,
	.xxfi_unknown = on_unknown,
	.xxfi_data = on_data,
	.xxfi_negotiate = on_negotiate,
};

int main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: cfilter SPEC ACTION...\n");
		return 2;
	}
	nactions = argc - 2;
	actions = calloc(nactions + 1, sizeof *actions);
	for (i = 0; i < nactions; i++) {
		struct action *a = &actions[i];
		char *rest = strdup(argv[2 + i]);

		a->text = argv[2 + i];
		while (rest != NULL && a->n < MAXWORDS)
			a->word[a->n++] = strsep(&rest, "|");
		check_action(a);
	}
	umask(0); /* its socket is for every MTA's user */
	smfi_setconn(argv[1]);
	if (smfi_register(filter) != MI_SUCCESS || smfi_opensocket(1) != MI_SUCCESS) {
		fprintf(stderr, "cfilter: cannot listen at %s\n", argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
