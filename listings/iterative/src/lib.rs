//! One request at a time: the iterative server
