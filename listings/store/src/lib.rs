//! The embedded store: a small server that speaks the Redis protocol, with a delay and an append-only file
