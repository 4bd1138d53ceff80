/*
 * The benchmark's filter on libmilter: the same work as bench-server, for a
 * comparison in one run. MILTER_ADDR and MILTER_WORKLOAD say where and what.
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int silent_all, silent_header, silent_body, edit_header, edit_body, refuse;
static unsigned long unwanted;

struct message {
	unsigned long seen;
	int fields;
	char subject[1024];
	unsigned char *body;
	size_t length, room;
};

static struct message *message_of(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);
	if (m == NULL) {
		m = calloc(1, sizeof *m);
		smfi_setpriv(ctx, m);
	}
	return m;
}

static void forget(SMFICTX *ctx)
{
	struct message *m = message_of(ctx);
	m->seen = m->length = m->fields = 0;
	m->subject[0] = 0;
}

#define ANSWER(quiet) ((quiet) ? SMFIS_NOREPLY : SMFIS_CONTINUE)

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
			     unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	(void)ctx; (void)f0; (void)f2; (void)f3;
	unsigned long quiet = SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA |
			      SMFIP_NR_UNKN | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY;
	*pf0 = (edit_header ? SMFIF_ADDHDRS | SMFIF_CHGHDRS : 0) | (edit_body ? SMFIF_CHGBODY : 0);
	*pf1 = unwanted & f1;
	if (silent_all)
		*pf1 |= quiet & f1;
	if (silent_header)
		*pf1 |= SMFIP_NR_HDR & f1;
	if (silent_body)
		*pf1 |= SMFIP_NR_BODY & f1;
	*pf2 = *pf3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	(void)addr;
	message_of(ctx)->seen += strlen(host);
	return ANSWER(silent_all);
}
static sfsistat on_text(SMFICTX *ctx, char *text)
{
	message_of(ctx)->seen += strlen(text);
	return ANSWER(silent_all);
}
static sfsistat on_unknown(SMFICTX *ctx, const char *text)
{
	message_of(ctx)->seen += strlen(text);
	return ANSWER(silent_all);
}
static sfsistat on_mail(SMFICTX *ctx, char **argv) { return on_text(ctx, argv[0]); }
static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	if (refuse) {
		smfi_setreply(ctx, "550", "5.7.1", "Rejected by bench policy");
		return SMFIS_REJECT;
	}
	return on_text(ctx, argv[0]);
}
static sfsistat on_data(SMFICTX *ctx) { (void)ctx; return ANSWER(silent_all); }
static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct message *m = message_of(ctx);
	m->seen += strlen(name) + strlen(value);
	m->fields++;
	if (edit_header && m->subject[0] == 0 && strcasecmp(name, "Subject") == 0)
		snprintf(m->subject, sizeof m->subject, "[bench] %s", value);
	return ANSWER(silent_all || silent_header);
}
static sfsistat on_body(SMFICTX *ctx, unsigned char *chunk, size_t n)
{
	struct message *m = message_of(ctx);
	m->seen += n;
	if (edit_body) {
		if (m->length + n > m->room)
			m->body = realloc(m->body, m->room = 2 * (m->length + n));
		memcpy(m->body + m->length, chunk, n);
		m->length += n;
	}
	return ANSWER(silent_all || silent_body);
}
static sfsistat on_end(SMFICTX *ctx)
{
	struct message *m = message_of(ctx);
	char text[64];
	if (edit_header) {
		snprintf(text, sizeof text, "headers=%d", m->fields);
		smfi_addheader(ctx, "X-Bench", text);
		smfi_chgheader(ctx, "Subject", 1, m->subject);
	}
	if (edit_body) {
		memcpy(m->body, "REWRITTEN-BODY!!", 16);
		smfi_replacebody(ctx, m->body, m->length);
	}
	forget(ctx);
	return SMFIS_ACCEPT;
}
static sfsistat on_abort(SMFICTX *ctx) { forget(ctx); return SMFIS_CONTINUE; }
static sfsistat on_close(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);
	if (m != NULL)
		free(m->body);
	free(m);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

int main(void)
{
	const char *w = getenv("MILTER_WORKLOAD"), *addr = getenv("MILTER_ADDR");
	unsigned long session = SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_NOEOH;
	if (w == NULL || addr == NULL)
		return 64;
	if (strcmp(w, "W1") == 0)
		;
	else if (strcmp(w, "W1n") == 0)
		silent_all = 1;
	else if (strcmp(w, "W2") == 0 || strcmp(w, "W5") == 0 || strcmp(w, "W6") == 0) {
		unwanted = session | SMFIP_NOHDRS | SMFIP_NOBODY;
		refuse = w[1] == '5';
	} else if (strcmp(w, "W3") == 0) {
		unwanted = session | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NOBODY;
		silent_header = edit_header = 1;
	} else if (strncmp(w, "W4", 2) == 0) {
		unwanted = session | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NOHDRS;
		silent_body = edit_body = 1;
	} else
		return 64;
	struct smfiDesc d = { "bench", SMFI_VERSION, SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY, on_connect, on_text,
			      on_mail, on_rcpt, on_header, on_data, on_body, on_end, on_abort, on_close, on_unknown, on_data, on_negotiate };
	if (smfi_setconn((char *)addr) == MI_FAILURE || smfi_register(d) == MI_FAILURE)
		return 70;
	return smfi_main() == MI_SUCCESS ? 0 : 70;
}
