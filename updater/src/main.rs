//! The `updater` program: see `updater --help`.

fn main() -> std::process::ExitCode {
    updater::cli::main(std::env::args_os())
}
