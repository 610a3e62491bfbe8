//! The `updater` program: see `updater --help`.

#[cfg(all(without_unwind_tables, panic = "unwind"))]
compile_error!(
    "what unwinds needs its tables: build with the profile `device`, or not optimised for size"
);

fn main() -> std::process::ExitCode {
    updater::cli::main(std::env::args_os())
}
