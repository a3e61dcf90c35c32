/*
 * The step from envelope to driver: the session's binding, or a new one. A step of rpc.c.
 */
#pragma once
#include "workers/rpc.h"

enum rpc_step route_step(struct rpc *);
/* the session's driver is gone: marks the binding, answers SESSION_CHANGED */
enum rpc_step route_lost(struct rpc *);
bool route_has_other(struct rpc *); /* a driver besides this one */
/* a fresh session whose driver cannot be reached: once more, on another */
bool route_elsewhere(struct rpc *);
