//! A sans-I/O HTTP/1.1 server connection: bytes in, bytes out, no socket, no file, no clock
