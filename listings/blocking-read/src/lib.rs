//! A read that blocks, a file cold and cached, a neighbour that preempts us
