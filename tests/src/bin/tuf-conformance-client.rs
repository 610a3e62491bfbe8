//! The device's TUF client behind the command line that the public TUF conformance suite drives: see `tests::conformance`.

fn main() -> std::process::ExitCode {
    tests::conformance::main(std::env::args_os())
}
