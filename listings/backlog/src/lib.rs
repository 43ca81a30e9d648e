//! What listen(fd, n) admits, and what a client sees beyond it
