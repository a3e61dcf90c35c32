/*
 * The new supervisor's end of the link. In: GO, the end of the old one. Out: how far it is.
 */
#include "daemon/successor.h"
#include "lib/log.h"
#include "lib/sock.h"

static void
got(void *arg, const struct msg_head *head)
{
	struct successor *s = arg;

	if (head->type == LINK_GO && MSG_IS(head, link_plain))
		s->go(s->arg);
}

static void
gone(void *arg)
{
	struct successor *s = arg;

	sock_close(&s->fd);
	s->ended(s->arg);
}

void
successor_open(struct successor *s, struct loop *loop)
{
	if (s->fd >= 0)
		msg_open(&s->link, loop, s->fd, got, gone, s);
}

/* That nobody hears it shows in the end of the link. */
void
successor_say(struct successor *s, enum link_type type)
{
	const struct link_plain m = {.head = {.type = (uint16_t)type, .size = sizeof(m)}};

	if (s->fd >= 0 && msg_send(s->fd, &m.head) != E_OK)
		log_debug(NULL, "the old supervisor could not be told %u", (unsigned)type);
}

void
successor_close(struct successor *s)
{
	if (s->fd < 0)
		return;
	msg_close(&s->link);
	sock_close(&s->fd);
}

void
successor_fail(int fd, const char *words)
{
	struct link_failed m = {.head = {.type = LINK_FAILED, .size = sizeof(m)}};

	str_copy(m.words, sizeof(m.words), str_from(words));
	if (fd >= 0 && msg_send(fd, &m.head) != E_OK)
		log_debug(NULL, "the old supervisor could not be told why");
}
