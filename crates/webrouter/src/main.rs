//! The webrouter binary: reads the configuration, wires the parts, speaks with people.

mod app;
mod cli;
mod config;
mod demo;
mod lainlet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
