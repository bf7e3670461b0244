//! Paths and JSON types shared by the admin server and the command line.
