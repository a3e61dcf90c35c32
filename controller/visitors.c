/*
 * Who has come to an HTTP server, and who has to go: a list, the longest without progress first.
 */
#include "controller/visitors.h"

#include <stdlib.h>
#include <sys/socket.h>
#include "lib/panic.h"

struct visitor {
	struct visitor *prev, *next;
	int fd;
	enum visitors_state state;
	bool sent_away;
};

static void
put_last(struct visitors *all, struct visitor *v)
{
	v->next = NULL;
	v->prev = all->last;
	if (all->last != NULL)
		all->last->next = v;
	else
		all->first = v;
	all->last = v;
}

static void
take_out(struct visitors *all, struct visitor *v)
{
	if (v->prev != NULL)
		v->prev->next = v->next;
	else
		all->first = v->next;
	if (v->next != NULL)
		v->next->prev = v->prev;
	else
		all->last = v->prev;
}

/* The library sees the end of the connection and closes it. */
static void
send_one_away(struct visitors *all)
{
	for (enum visitors_state state = VISITORS_LISTENED; state < VISITORS_SUSPENDED; state++)
		for (struct visitor *v = all->first; v != NULL; v = v->next)
			if (v->state == state && !v->sent_away) {
				v->sent_away = true;
				shutdown(v->fd, SHUT_RDWR);
				return;
			}
}

static void
come(struct visitors *all, struct MHD_Connection *connection, void **slot)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct visitor *v = calloc(1, sizeof(*v));

	if (all->count + VISITORS_SPARE >= all->limit)
		send_one_away(all);
	*slot = v;
	if (v == NULL)
		return; /* it is not counted, the library's limit holds */
	v->fd = info->connect_fd;
	all->count++;
	put_last(all, v);
}

void
visitors_notify(void *visitors, struct MHD_Connection *connection, void **slot,
		enum MHD_ConnectionNotificationCode what)
{
	struct visitors *all = visitors;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		come(all, connection, slot);
	} else if (*slot != NULL) {
		ASSERT(all->count > 0);
		all->left = all->left || all->count + VISITORS_SPARE >= all->limit;
		all->count--;
		take_out(all, *slot);
		free(*slot);
		*slot = NULL;
	}
}

void
visitors_set(struct visitors *all, struct MHD_Connection *connection, enum visitors_state state)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct visitor *v = info != NULL ? info->socket_context : NULL;

	if (v == NULL)
		return;
	v->state = state;
	take_out(all, v);
	put_last(all, v);
}
