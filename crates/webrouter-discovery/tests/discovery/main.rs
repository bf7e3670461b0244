//! Discovery against a scripted lainlet and real files: what is said, what is in force, what the status tells.

mod file;
mod guard;
mod lainlet;
mod restart;
mod scene;
