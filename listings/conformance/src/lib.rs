//! One fault table for every server: the suite, and the wrong servers that it must catch
