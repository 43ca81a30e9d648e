//! The named runs: what a Run button may start, what an output block was recorded from
