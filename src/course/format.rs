//! The lessons as they are embedded, held against the format that the command line and the book rely on.
