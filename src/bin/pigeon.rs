//! The program beside the hub: see [`pigeond::cli`].

fn main() -> std::process::ExitCode {
    pigeond::cli::main()
}
