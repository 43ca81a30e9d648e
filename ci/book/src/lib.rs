//! Builds the book, serves it on loopback, and runs its listings
