"""What the end-to-end tests stand on: real gateways, real Spark drivers, clients and peers that misbehave."""
