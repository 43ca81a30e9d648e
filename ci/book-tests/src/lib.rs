//! Every code block and every printed output in the book, tested
