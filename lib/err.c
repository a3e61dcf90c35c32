/*
 * Words for the codes of err.h. Every process; bytes neither enter nor leave.
 */
#include "lib/err.h"

const char *
err_text(int err)
{
	switch ((enum err)err) {
	case E_OK: return "done";
	case E_NOMEM: return "out of memory";
	case E_AGAIN: return "would block";
	case E_CLOSED: return "closed by peer";
	case E_LIMIT: return "limit exceeded";
	case E_SYNTAX: return "malformed";
	case E_NOT_FOUND: return "not found";
	case E_EXISTS: return "exists already";
	case E_IO: return "system error";
	case E_FULL: return "full";
	case E_DENIED: return "denied";
	case E_VERSION: return "wrong version";
	case E_STATE: return "not possible now";
	case E_TLS: return "TLS failure";
	case E_TIMEOUT: return "timed out";
	case E_REFUSED: return "connection refused";
	}
	return "unknown error";
}
