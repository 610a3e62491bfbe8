//! `cargo demo`: the whole story, told with the real programs.

fn main() -> std::process::ExitCode {
    tests::demo::main(std::env::args_os())
}
